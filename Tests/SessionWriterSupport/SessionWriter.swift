import Foundation

/// Runs `SessionWriterProcess` on a store, which SwiftPM builds beside the test bundle, and kills it.
package struct SessionWriter {
  /// A file, or `redis:PORT`.
  private let store: String

  /// How often a test kills: `SLUICE_KILLS=200` for the long run; 12 take a few seconds.
  package static let kills = Int(ProcessInfo.processInfo.environment["SLUICE_KILLS"] ?? "") ?? 12

  package init(store: String) { self.store = store }

  private static let executable: URL = {
    var folder = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL ?? Bundle.main.bundleURL
    if folder.pathExtension == "xctest" { folder.deleteLastPathComponent() }
    return folder.appending(path: "SessionWriterProcess")
  }()

  private func process(_ arguments: [String]) -> (process: Process, output: Pipe, error: Pipe) {
    let process = Process()
    let (output, error) = (Pipe(), Pipe())
    process.executableURL = Self.executable
    process.arguments = arguments
    (process.standardInput, process.standardOutput, process.standardError) = (FileHandle.nullDevice, output, error)
    return (process, output, error)
  }

  /// Has it save until it is killed.
  ///
  /// - Parameters:
  ///   - microseconds: after which it is
  ///   - countsFromFirstSave: whether they begin once it has said that something is safe, or when it is started
  ///   - before: what dies first
  /// - Returns: the newest generation of each session that it said was safe, and what it complained of.
  package func write(
    seed: Int, killedAfter microseconds: UInt32, countsFromFirstSave: Bool = false, _ before: () -> Void = {}
  ) throws -> (acknowledged: [String: Int], complaint: String) {
    let writer = process(["write", store, "\(seed)"])
    try writer.process.run()
    var output = Data()
    if countsFromFirstSave { output = writer.output.fileHandleForReading.availableData }
    usleep(microseconds)
    before()
    kill(writer.process.processIdentifier, SIGKILL)
    output += writer.output.fileHandleForReading.readDataToEndOfFile()
    let complaint = String(decoding: writer.error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    writer.process.waitUntilExit()
    return (Self.generations(output), complaint)
  }

  /// Has it read all sessions and compare them with what was written.
  ///
  /// - Returns: the generation of each session that is there, and what was wrong.
  package func check() throws -> (found: [String: Int], fault: String?) {
    let checker = process(["check", store])
    try checker.process.run()
    let found = Self.generations(checker.output.fileHandleForReading.readDataToEndOfFile())
    let fault = String(decoding: checker.error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    checker.process.waitUntilExit()
    return (found, checker.process.terminationStatus == 0 ? nil : fault)
  }

  /// The newest generation of each session that whole lines of an output name.
  private static func generations(_ output: Data) -> [String: Int] {
    var newest: [String: Int] = [:]
    for line in String(decoding: output, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
      .dropLast()
    {
      let words = line.split(separator: " ")
      guard words.count == 2, let generation = Int(words[1]) else { continue }
      newest[String(words[0])] = max(newest[String(words[0])] ?? 0, generation)
    }
    return newest
  }
}
