import Foundation
import Synchronization
import TestSupport

/// The built command as a process, without a shell.
struct Sluice {
  struct Result {
    let status: Int32
    /// Whether a signal ended it.
    let crashed: Bool
    let output: String
    let error: String

    /// The lines of standard error.
    var errorLines: [Substring] { error.split(separator: "\n", omittingEmptySubsequences: false).dropLast() }
  }

  /// What stands on standard input.
  enum Input {
    case none
    /// A terminal at which nobody types.
    case terminal
    case bytes([UInt8])
    /// Written over and over until the command ends or `limit` bytes are through.
    case endless([UInt8], limit: Int)
  }

  /// The command beside the test bundle, where SwiftPM puts every product.
  static let executable: URL = {
    var folder = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }?.bundleURL ?? Bundle.main.bundleURL
    if folder.pathExtension == "xctest" { folder.deleteLastPathComponent() }
    return folder.appending(path: "sluice")
  }()

  /// Runs the command to its end.
  ///
  /// - Parameters:
  ///   - environment: added to a small fixed environment; the fetched models are out of reach unless it says otherwise
  ///   - directory: the working directory
  ///   - output: a file to write standard output to, in place of collecting it
  ///   - closesOutput: whether the reader of standard output goes away at once
  static func run(
    _ arguments: [String], input: Input = .none, environment: [String: String] = [:], directory: String? = nil,
    output: String? = nil, closesOutput: Bool = false
  ) throws -> Result {
    let process = Process()
    process.executableURL = executable
    process.arguments = arguments
    process.environment = ["SLUICE_MODELS": "/nonexistent/models", "PATH": "/usr/bin:/bin"]
      .merging(environment) { $1 }
    if let directory { process.currentDirectoryURL = URL(filePath: directory) }
    let (outputPipe, errorPipe, inputPipe) = (Pipe(), Pipe(), Pipe())
    if let output {
      process.standardOutput = try FileHandle(forWritingTo: URL(filePath: output))
    } else {
      process.standardOutput = outputPipe
    }
    process.standardError = errorPipe
    switch input {
    case .none: process.standardInput = FileHandle.nullDevice
    case .terminal: process.standardInput = try terminal()
    case .bytes, .endless: process.standardInput = inputPipe
    }
    // A command that ends before it has read everything must not end the tests.
    signal(SIGPIPE, SIG_IGN)
    try process.run()
    if closesOutput { try outputPipe.fileHandleForReading.close() }
    let collected = Mutex<[String: Data]>([:])
    let group = DispatchGroup()
    func inBackground(_ body: @escaping @Sendable () -> Void) {
      DispatchQueue.global().async(group: group, execute: DispatchWorkItem(block: body))
    }
    for (name, handle) in [("output", outputPipe.fileHandleForReading), ("error", errorPipe.fileHandleForReading)]
    where name == "error" || (output == nil && !closesOutput) {
      inBackground {
        let data = (try? handle.readToEnd()) ?? Data()
        collected.withLock { $0[name] = data }
      }
    }
    let writing = inputPipe.fileHandleForWriting
    inBackground { write(input, to: writing) }
    process.waitUntilExit()
    group.wait()
    let data = collected.withLock { $0 }
    return Result(
      status: process.terminationStatus, crashed: process.terminationReason == .uncaughtSignal,
      output: String(decoding: data["output"] ?? Data(), as: UTF8.self),
      error: String(decoding: data["error"] ?? Data(), as: UTF8.self))
  }

  /// The command in a shell, for arguments that are no UTF-8: `"$0"` is the command.
  static func runInShell(_ script: String, directory: String) throws -> Result {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", script, executable.path]
    process.currentDirectoryURL = URL(filePath: directory)
    let (outputPipe, errorPipe) = (Pipe(), Pipe())
    (process.standardOutput, process.standardError) = (outputPipe, errorPipe)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = try outputPipe.fileHandleForReading.readToEnd() ?? Data()
    let error = try errorPipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, crashed: process.terminationReason == .uncaughtSignal,
      output: String(decoding: output, as: UTF8.self), error: String(decoding: error, as: UTF8.self))
  }

  /// The far side of a new pseudo-terminal; the near side stays open as long as the tests run.
  private static func terminal() throws -> FileHandle {
    var (near, far): (Int32, Int32) = (-1, -1)
    guard openpty(&near, &far, nil, nil, nil) == 0 else { throw CocoaError(.fileReadUnknown) }
    return FileHandle(fileDescriptor: far, closeOnDealloc: true)
  }

  private static func write(_ input: Input, to handle: FileHandle) {
    defer { try? handle.close() }
    switch input {
    case .none, .terminal: break
    case .bytes(let bytes): try? handle.write(contentsOf: bytes)
    case .endless(let bytes, let limit):
      for _ in 0..<limit / bytes.count {
        do { try handle.write(contentsOf: bytes) } catch { return }
      }
    }
  }
}
