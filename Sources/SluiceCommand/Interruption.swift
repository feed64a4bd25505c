import Foundation
import ModelHub
import Synchronization

/// Ctrl-C, for work that puts its things in order before it ends, or that goes on with something else.
enum Interruption {
  private static let flag = Atomic<Bool>(false)

  /// Takes Ctrl-C from now on: it is noted, and a line that is being read ends.
  static func watch() { handle { _ in Interruption.flag.store(true, ordering: .relaxed) } }

  /// Takes one Ctrl-C; a second one ends the process at once.
  static func watchOnce() {
    handle { _ in
      Interruption.flag.store(true, ordering: .relaxed)
      signal(SIGINT, SIG_DFL)
    }
  }

  private static func handle(_ handler: @escaping @convention(c) (CInt) -> Void) {
    var action = sigaction()
    // Without SA_RESTART, so that system calls that wait end too.
    #if os(Linux)
      action.__sigaction_handler.sa_handler = handler
    #else
      action.__sigaction_u.__sa_handler = handler
    #endif
    sigaction(SIGINT, &action, nil)
  }

  /// Lets signals end this process, whoever started it: some parents leave them blocked in their children, where they
  /// would wait for ever. To be called before there are other threads.
  static func unblock() {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { sigaddset(&signals, signal) }
    pthread_sigmask(Int32(SIG_UNBLOCK), &signals, nil)
  }

  /// Whether it has come since the last time it was taken.
  static var hasCome: Bool { flag.load(ordering: .relaxed) }

  /// Whether it has come, and forgets it.
  static func take() -> Bool { flag.exchange(false, ordering: .relaxed) }

  /// Waits, or throws as soon as the user stops it.
  static func wait(seconds: Int) throws(HubError) {
    for _ in 0..<(max(0, seconds) * 10) {
      if hasCome { throw .interruption }
      usleep(100_000)
    }
  }
}
