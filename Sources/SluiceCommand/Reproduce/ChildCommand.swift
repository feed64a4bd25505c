import Foundation
import Reproduction

/// This program, run once more with other words.
///
/// A process of its own gives each measurement a fresh memory, and makes the command that a report shows the one that ran.
struct ChildCommand {
  private let program: URL

  init() throws(CommandError) {
    guard let own = Bundle.main.executableURL else { throw CommandError("this program cannot tell where its file is") }
    program = own
  }

  /// Runs it to its end and returns standard output, and the seconds it took.
  ///
  /// - Throws: `RunError.failed` with the last line of standard error.
  func output(of run: SluiceRun) throws(RunError) -> (output: String, seconds: Double) {
    let process = Process()
    process.executableURL = program
    process.arguments = run.words
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    let messages = FileManager.default.temporaryDirectory.appending(path: "sluice-\(UUID().uuidString).log")
    defer { try? FileManager.default.removeItem(at: messages) }
    _ = FileManager.default.createFile(atPath: messages.path, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: messages.path) ?? FileHandle.nullDevice
    let clock = ContinuousClock()
    let start = clock.now
    do { try process.run() } catch { throw .failed(run, message: "\(error.localizedDescription)") }
    let bytes = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let seconds = (clock.now - start) / .seconds(1)
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      let text = (try? String(contentsOf: messages, encoding: .utf8)) ?? ""
      let line = text.split(whereSeparator: \.isNewline).last { !$0.hasPrefix("hint:") }
      throw .failed(run, message: line.map(String.init) ?? "status \(process.terminationStatus)")
    }
    return (String(decoding: bytes, as: UTF8.self), seconds)
  }
}
