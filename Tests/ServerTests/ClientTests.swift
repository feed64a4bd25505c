import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// The official clients, where they are installed: `Scripts/install-clients` puts them into `.build/clients`.
@Suite struct ClientTests {
  private static let folder =
    ProcessInfo.processInfo.environment["SLUICE_CLIENTS"] ?? FileManager.default.currentDirectoryPath
    + "/.build/clients"

  private static func isInstalled(_ client: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(folder)/\(client)")
  }

  @Test(
    .enabled(if: isInstalled("openai"), "Scripts/install-clients installs OpenAI's and Anthropic's clients"),
    .timeLimit(.minutes(3)), arguments: ["openai", "anthropic"])
  func theClientIsContent(_ client: String) async throws {
    let script = try #require(Bundle.module.url(forResource: "Clients", withExtension: nil))
      .appending(path: "\(client)_client.py")
    try await ServerSubject.run(change: { ($0.keys, $0.aliases) = (["alpha"], ["gpt-4o"]) }) { subject in
      let port = subject.server.port
      let (status, output) = try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread {
          continuation.resume(with: Result { try Self.python(script, port: port) })
        }
      }
      #expect(status == 0, "\(output)")
      #expect(output.contains("ok"))
    }
  }

  private static func python(_ script: URL, port: Int) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", script.path, String(port)]
    process.environment = ["PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": folder, "NO_PROXY": "127.0.0.1"]
    let pipe = Pipe()
    (process.standardOutput, process.standardError) = (pipe, pipe)
    try process.run()
    let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
  }
}
