import Foundation
import Kernels
import Testing

/// A process that saves sessions is killed at random moments.
@Suite struct KillTests {
  private let folder: StoreFolder

  init() throws { folder = try StoreFolder() }

  /// `SLUICE_KILLS=200` for the long run; 12 take a few seconds.
  private static let kills = Int(ProcessInfo.processInfo.environment["SLUICE_KILLS"] ?? "") ?? 12

  /// The process that SwiftPM builds beside the test bundle.
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

  /// The newest generation of each session that whole lines of an output name.
  private func generations(_ output: Data) -> [String: Int] {
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

  @Test func `nothing acknowledged is lost, nothing torn is read, and every start is clean`() throws {
    var random = SplitMix64(seed: 11)
    var acknowledged: [String: Int] = [:]
    for kill in 0..<Self.kills {
      let writer = process(["write", folder.file, "\(kill)"])
      try writer.process.run()
      // From before the store is open to some hundred saves.
      usleep(UInt32(random.next() % 250_000))
      Foundation.kill(writer.process.processIdentifier, SIGKILL)
      let output = writer.output.fileHandleForReading.readDataToEndOfFile()
      let complaint = String(decoding: writer.error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      writer.process.waitUntilExit()
      #expect(complaint.isEmpty, "kill \(kill): \(complaint)")
      acknowledged.merge(generations(output)) { max($0, $1) }

      let checker = process(["check", folder.file])
      try checker.process.run()
      let found = generations(checker.output.fileHandleForReading.readDataToEndOfFile())
      let fault = String(decoding: checker.error.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      checker.process.waitUntilExit()
      try #require(checker.process.terminationStatus == 0, "kill \(kill): \(fault)")
      for (name, generation) in acknowledged {
        #expect((found[name] ?? 0) >= generation, "kill \(kill): \(name) was acknowledged")
      }
      // What was written and not yet told is there too, and is what the next process goes on from.
      acknowledged.merge(found) { max($0, $1) }
    }
    #expect(acknowledged.values.reduce(0, +) > Self.kills, "the process did save")
  }
}
