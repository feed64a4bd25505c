import Foundation
import Testing

/// Runs the scripts in `Clients`, each on a thread of its own, so that it never waits for Swift's pool.
enum PythonClient {
  /// Where `Scripts/install-clients` has put the packages.
  static let packages =
    ProcessInfo.processInfo.environment["SLUICE_CLIENTS"] ?? FileManager.default.currentDirectoryPath
    + "/.build/clients"

  static func run(_ script: String, arguments: [String]) async throws -> (status: Int32, output: String) {
    let path = try #require(Bundle.module.url(forResource: "Clients", withExtension: nil)).appending(path: script).path
    return try await withCheckedThrowingContinuation { continuation in
      Thread.detachNewThread { continuation.resume(with: Result { try wait([path] + arguments) }) }
    }
  }

  private static func wait(_ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3"] + arguments
    process.environment = [
      "PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": packages, "NO_PROXY": "127.0.0.1",
      "HOME": NSTemporaryDirectory(),
      "PYTHONDONTWRITEBYTECODE": "1",
    ]
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }
}
