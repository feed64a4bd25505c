import Engine
import KVCaches
import ModelJSON
import SealingTestSupport
import TestSupport
import Testing

@testable import Server
@testable import SessionStore

/// Conversations in a sealed store.
@Suite struct SealedSessionTests {
  private func run(
    in folder: String, key: UInt8, _ body: (ServerSubject, SessionStore) async throws -> Void
  ) async throws {
    var options = SessionStore.Options()
    options.memoryBytes = 0
    let disk = try DiskTier(path: folder + "/sessions.sluice", durability: .process)
    let store = SessionStore(disk: disk, options: options, seal: try TestSeal.allCases.last?.seal(key: key))
    try await ServerSubject.run(
      TinyModel(trainedLength: 1024), change: { $0.sessions = store }, { try await body($0, store) })
  }

  @Test(arguments: ["full", "streaming-llm:4+60"])
  func `conversations, named or not, and responses are found again with the key, and stay unread without it`(
    plan: String
  ) async throws {
    let folder = StoreFolder()
    let fields: JSONValue = ["cache": .string(plan)]
    let named: JSONValue = ["cache": .string(plan), "session": "diary"]
    let opening = [user("a beginning that is long enough to be found by its hashes again")]
    var answers: [JSONValue] = []
    var identifier = ""
    try await run(in: folder.path, key: 1) { subject, _ in
      answers = [try await subject.chat(opening, fields).json, try await subject.chat(opening, named).json]
      identifier =
        try await subject.client.post("/v1/responses", ["input": "Hello", "max_output_tokens": 4])
        .json["id"]?.string ?? ""
      _ = try await subject.client.get("/v1/sessions")
    }
    let next = opening + [["role": "assistant", "content": .string(answers[0].content ?? "")], user("more")]
    try await run(in: folder.path, key: 2) { subject, store in
      let header = try await subject.chat([user("more")], named).fields["x-sluice-cache"]
      #expect(header == "miss; reason=sealed")
      // Tokens that the template begins with are all that is known.
      #expect(try #require(try await subject.chat(next, fields).json.cachedTokens) < 4)
      #expect(try await subject.client.get("/v1/responses/\(identifier)").status == 404)
      _ = try await subject.client.get("/v1/sessions")
      #expect(store.statistics.saves == 0 && store.statistics.failedSaves > 0 && store.statistics.evictions == 0)
    }
    try await run(in: folder.path, key: 1) { subject, store in
      for (messages, options) in [(next, fields), ([user("more")], named)] {
        let response = try await subject.chat(messages, options)
        #expect(response.fields["x-sluice-cache"]?.hasPrefix("hit; tier=disk") == true)
      }
      #expect(try await subject.client.get("/v1/responses/\(identifier)").status == 200)
      #expect(store.statistics.failedSaves == 0)
    }
  }
}
