import CLibrary
import Kernels
import Synchronization

/// Waits for bytes of a connection without sleeping, where they come soon.
///
/// To wake up takes a thread 20 to 50 microseconds, twice in each layer of each token. So who has not waited long for the frame
/// before asks again and again for a while before it sleeps; a connection on which nothing happens costs nothing. One thread of
/// a process does so at a time.
struct SpinningWait {
  /// The longest wait without sleep, in seconds: about ten times what waking up takes.
  private static let limit = 500e-6
  /// From then on others have the CPU in between, in seconds.
  private static let yieldsAfter = 5e-6
  private static let isTaken = Atomic<Bool>(false)

  private var started = 0.0
  /// Whether the last frame came within the limit.
  private var cameSoon = false

  /// Whether a process of so many threads may do so for a peer at an address: one on this machine needs a CPU for its answer.
  static func isAllowed(threads: Int, for peer: SocketAddress) -> Bool {
    let count = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    return count > 1 && (!peer.isLocal || threads < count)
  }

  /// Begins a wait: returns when there are bytes, or when it has lasted so long that sleep is better.
  mutating func begin(_ descriptor: Int32) {
    started = secondsNow()
    guard cameSoon, !Self.isTaken.exchange(true, ordering: .relaxed) else { return }
    defer { Self.isTaken.store(false, ordering: .relaxed) }
    var elapsed = 0.0
    repeat {
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      // An error is what the call that receives will say.
      if poll(&entry, 1, 0) != 0 { return }
      pauseBetweenLooks()
      if elapsed > Self.yieldsAfter { sched_yield() }
      elapsed = secondsNow() - started
    } while elapsed < Self.limit
  }

  /// Ends it: the bytes are there.
  mutating func end() { cameSoon = secondsNow() - started < Self.limit }
}
