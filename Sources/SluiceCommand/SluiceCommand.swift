import ArgumentParser
import Foundation

/// The command `sluice`.
@main
struct SluiceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sluice",
    abstract: "Runs language models over endless streams in bounded memory.",
    discussion: """
      -m takes a file, a directory, or a model that 'sluice pull OWNER/REPO[:QUANT]' fetched. Without -m the default \
      model serves (SmolLM2-135M-Instruct; get it once with 'make model').
      What the model remembers is a cache: --cache full, window:512, streaming-llm:4+508, or stages of your own such as
      sinks:4,window:508.
      """,
    version: "0.1.0",
    subcommands: [
      RunCommand.self, ChatCommand.self, InspectCommand.self, TokenizeCommand.self, TemplateCommand.self,
      EvaluateCommand.self, ReproduceCommand.self, BenchCommand.self, SimulateCommand.self, PullCommand.self,
      ModelsCommand.self, RemoveCommand.self,
      SessionsCommand.self,
      DemoCommand.self, ServeCommand.self, WorkerCommand.self,
    ])

  /// Errors become one line and a hint here and nowhere else: exit status 1 for bad input, 2 for bad usage.
  static func main() {
    Interruption.unblock()
    // A reader that goes away shows as an error of writing, which ends the command there.
    signal(SIGPIPE, SIG_IGN)
    // So does a file that may not grow (ulimit -f).
    signal(SIGXFSZ, SIG_IGN)
    do {
      var command = try parseAsRoot(CommandArguments.all)
      try command.run()
    } catch {
      Foundation.exit(report(error))
    }
  }

  private static func report(_ error: any Error) -> Int32 {
    // Said already, by the command that ended so.
    if let code = error as? ExitCode { return code.rawValue }
    switch exitCode(for: error) {
    case .success:
      StandardOutput.write(fullMessage(for: error) + "\n")
      return 0
    case .validationFailure:
      let lines = fullMessage(for: error).split(separator: "\n", omittingEmptySubsequences: true)
      let message = lines.first.map { $0.hasPrefix("Error: ") ? String($0.dropFirst(7)) : String($0) } ?? "bad usage"
      let usage = lines.first { $0.hasPrefix("Usage: ") }.map { $0.dropFirst(7).prefix { !"<[".contains($0) } }
      let command = usage?.split(separator: " ").joined(separator: " ") ?? "sluice"
      StandardError.write("sluice: \(oneLine(message))\nhint: see '\(oneLine(command)) --help'\n")
      return 2
    default:
      StandardError.write("sluice: \(oneLine(String(describing: error)))\n")
      return 1
    }
  }

  /// Arguments, paths and model files are untrusted: control characters in a message must not reach a terminal.
  private static func oneLine(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
