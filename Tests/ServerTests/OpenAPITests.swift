import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// The description at `/openapi.json` against the server.
@Suite struct OpenAPITests {
  private static let schemathesis = FileManager.default.currentDirectoryPath + "/.build/schemathesis/bin/schemathesis"

  @Test func everyRouteIsDescribed() async throws {
    try await ServerSubject.run(change: { $0.keys = ["alpha"] }) { subject in
      let response = try await subject.client.get("/openapi.json")
      #expect(response.status == 200 && response.fields["content-type"] == "application/json")
      let paths = try #require(response.json["paths"]?.object)
      var described: Set<String> = []
      for (path, operations) in paths {
        for (method, _) in try #require(operations.object) { described.insert("\(method.uppercased()) \(path)") }
      }
      #expect(described == Routes.all)
    }
  }

  /// Requests made up from the description, right ones and wrong ones; `Scripts/check-openapi` installs what makes them.
  @Test(
    .enabled(if: FileManager.default.isExecutableFile(atPath: schemathesis), "Scripts/check-openapi runs this"),
    .timeLimit(.minutes(10)))
  func schemathesisFindsNothing() async throws {
    try await ServerSubject.run(change: { ($0.keys, $0.queue) = (["alpha"], 4096) }) { subject in
      let (status, output) = try await PythonClient.run(
        "schemathesis_client.py", arguments: [Self.schemathesis, String(subject.server.port), "alpha"])
      #expect(status == 0, "\(output)")
      #expect(try await subject.client.get("/health").status == 200)
    }
  }
}
