import Foundation
import TestSupport
import Testing

/// Commands that go on until they are ended, started by a parent that leaves its signals blocked in them.
@Suite struct BlockedSignalTests {
  /// Starts a program of the build with SIGTERM and SIGINT blocked.
  ///
  /// - Returns: its process, and the side of standard input to write to and that of standard error to read from.
  private func start(_ program: String, _ arguments: [String]) throws -> (pid: pid_t, input: Int32, error: Int32) {
    #if canImport(Darwin)
      var attributes: posix_spawnattr_t?
      var actions: posix_spawn_file_actions_t?
    #else
      var attributes = posix_spawnattr_t()
      var actions = posix_spawn_file_actions_t()
    #endif
    posix_spawnattr_init(&attributes)
    posix_spawn_file_actions_init(&actions)
    defer {
      posix_spawnattr_destroy(&attributes)
      posix_spawn_file_actions_destroy(&actions)
    }
    var blocked = sigset_t()
    sigemptyset(&blocked)
    for signal in [SIGTERM, SIGINT] { sigaddset(&blocked, signal) }
    posix_spawnattr_setsigmask(&attributes, &blocked)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    var (input, error): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
    guard pipe(&input) == 0, pipe(&error) == 0 else { throw CocoaError(.fileReadUnknown) }
    posix_spawn_file_actions_adddup2(&actions, input[0], 0)
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, error[1], 2)
    for descriptor in input + error { posix_spawn_file_actions_addclose(&actions, descriptor) }
    let path = Sluice.executable.deletingLastPathComponent().appending(path: program).path
    var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, path, &actions, &attributes, words, environ)
    for descriptor in [input[0], error[1]] { close(descriptor) }
    guard code == 0 else { throw CocoaError(.executableLoad) }
    return (pid, input[1], error[0])
  }

  @Test(arguments: ["worker", "run", "serve", "sluice-serve"], [SIGTERM, SIGINT])
  func `end by a signal all the same`(command: String, signal: Int32) throws {
    try withTemporaryDirectory { folder in
      let model = try TinyModel().write(in: folder)
      let key = try TestSupport.write(Array("0123456789abcdef".utf8), to: "key", in: folder)
      let arguments =
        switch command {
        case "worker": ["worker", "--listen", "unix:\(folder)/w", "--key", key, "-t", "1"]
        case "run": ["run", "-m", model, "-t", "1", "-f", "-"]
        case "serve": ["serve", "-m", model, "--port", "0", "-t", "1"]
        default: ["-m", model, "--port", "0", "-t", "1"]
        }
      let (pid, input, error) = try start(command == "sluice-serve" ? command : "sluice", arguments)
      defer { for descriptor in [input, error] { close(descriptor) } }
      if command != "run" {
        // Once it says something it is there.
        var byte: UInt8 = 0
        _ = read(error, &byte, 1)
      }
      #expect(kill(pid, signal) == 0)
      var status: Int32 = 0
      // Far longer than it takes: what does not end is ended, and fails.
      for _ in 0..<6000 where waitpid(pid, &status, WNOHANG) == 0 { usleep(10_000) }
      let hasEnded = kill(pid, 0) != 0
      #expect(hasEnded, "\(command) goes on")
      if !hasEnded {
        kill(pid, SIGKILL)
        waitpid(pid, &status, 0)
      }
      // By the signal, or in order.
      #expect(status & 0x7F == signal || status == 0, "\(status)")
    }
  }
}
