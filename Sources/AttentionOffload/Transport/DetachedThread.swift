import CLibrary

/// Runs a body on a thread of its own.
package func startThread(_ body: @escaping @Sendable () -> Void) -> Bool {
  let context = Unmanaged.passRetained(ThreadBody(body)).toOpaque()
  #if canImport(Darwin)
    var thread: pthread_t?
  #else
    var thread = pthread_t()
  #endif
  let code = pthread_create(
    &thread, nil,
    { context in
      #if canImport(Darwin)
        let pointer = context
      #else
        guard let pointer = context else { return nil }
      #endif
      Unmanaged<ThreadBody>.fromOpaque(pointer).takeRetainedValue().body()
      return nil
    }, context)
  guard code == 0 else {
    Unmanaged<ThreadBody>.fromOpaque(context).release()
    return false
  }
  #if canImport(Darwin)
    if let thread { pthread_detach(thread) }
  #else
    pthread_detach(thread)
  #endif
  return true
}

private final class ThreadBody {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// Has this thread rest.
func pause(milliseconds: Int) { usleep(UInt32(milliseconds) * 1000) }
