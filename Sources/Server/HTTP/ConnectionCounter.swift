import NIOCore
import Synchronization

/// Bounds how many connections are open at once.
final class ConnectionCounter: Sendable {
  private let count = Atomic<Int>(0)
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Counts a connection until it closes.
  ///
  /// - Returns: whether there is room for it.
  func open(_ channel: any Channel) -> Bool {
    guard count.wrappingAdd(1, ordering: .relaxed).newValue <= limit else {
      count.wrappingSubtract(1, ordering: .relaxed)
      return false
    }
    channel.closeFuture.whenComplete { [self] _ in count.wrappingSubtract(1, ordering: .relaxed) }
    return true
  }
}
