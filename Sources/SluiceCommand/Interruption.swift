import Foundation
import ModelHub
import Synchronization

/// Ctrl-C, for work that puts its things in order before it ends. The second one ends the process at once.
enum Interruption {
  private static let flag = Atomic<Bool>(false)

  static var came: Bool { flag.load(ordering: .relaxed) }

  static func listen() {
    signal(SIGINT) { _ in
      Interruption.flag.store(true, ordering: .relaxed)
      signal(SIGINT, SIG_DFL)
    }
    // Some parents start their children with all signals blocked.
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, SIGINT)
    pthread_sigmask(Int32(SIG_UNBLOCK), &signals, nil)
  }

  /// Waits, or throws as soon as the user stops it.
  static func wait(seconds: Int) throws(HubError) {
    for _ in 0..<(max(0, seconds) * 10) {
      if came { throw .interruption }
      usleep(100_000)
    }
  }
}
