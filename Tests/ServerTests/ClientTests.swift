import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// The official clients, where they are installed: `Scripts/install-clients` puts them into `.build/clients`.
@Suite struct ClientTests {
  private static func isInstalled(_ client: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(PythonClient.packages)/\(client)")
  }

  @Test(
    .enabled(if: isInstalled("openai"), "Scripts/install-clients installs OpenAI's and Anthropic's clients"),
    .timeLimit(.minutes(3)), arguments: ["openai", "anthropic"])
  func theClientIsContent(_ client: String) async throws {
    try await ServerSubject.run(change: { ($0.keys, $0.aliases) = (["alpha"], ["gpt-4o"]) }) { subject in
      let (status, output) = try await PythonClient.run(
        "\(client)_client.py", arguments: [String(subject.server.port)])
      #expect(status == 0, "\(output)")
      #expect(output.contains("ok"))
    }
  }
}
