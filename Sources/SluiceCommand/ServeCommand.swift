import ArgumentParser
import Foundation

/// Starts `sluice-serve`, the program beside this one, in place of this process.
///
/// The server is a program of its own so that who only wants to run a model does not build a network library.
struct ServeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve",
    abstract: "Serve a model by the APIs of OpenAI and Anthropic.",
    discussion: "'sluice serve --help' shows the options once the server is built ('make server').")

  @Argument(parsing: .captureForPassthrough, help: "Options of the server.")
  var arguments: [String] = []

  func run() throws {
    let own = Bundle.main.executableURL?.resolvingSymlinksInPath()
    let program = (own?.deletingLastPathComponent() ?? URL(filePath: ".")).appending(path: "sluice-serve").path
    guard FileManager.default.isExecutableFile(atPath: program) else {
      throw CommandError("the server is a program of its own, which is not at \(program); build it with 'make server'")
    }
    // SIG_IGN would pass on to the other program.
    signal(SIGPIPE, SIG_DFL)
    signal(SIGXFSZ, SIG_DFL)
    var words: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) }
    words.append(nil)
    execv(program, &words)
    throw CommandError("\(program) cannot be started: \(String(cString: strerror(errno)))")
  }
}
