import Foundation
import Synchronization

/// Ctrl-C while a chat runs: it stops an answer, not the chat.
enum Interruption {
  private static let flag = Atomic<Bool>(false)

  /// Takes Ctrl-C from now on.
  static func watch() {
    var action = sigaction()
    // Without SA_RESTART, so that reading a line ends too.
    #if os(Linux)
      action.__sigaction_handler.sa_handler = { _ in Interruption.flag.store(true, ordering: .relaxed) }
    #else
      action.__sigaction_u.__sa_handler = { _ in Interruption.flag.store(true, ordering: .relaxed) }
    #endif
    sigaction(SIGINT, &action, nil)
  }

  /// Whether it has come since the last time it was taken.
  static var hasCome: Bool { flag.load(ordering: .relaxed) }

  /// Whether it has come, and forgets it.
  static func take() -> Bool { flag.exchange(false, ordering: .relaxed) }
}
