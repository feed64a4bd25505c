import Engine
import KVCaches
import ModelJSON
import TestSupport
import Testing

@testable import Server
@testable import SessionStore

/// Conversations without a name, and responses, that outlive the server.
@Suite struct UnnamedSessionTests {
  private func run(
    in folder: String, keys: [String] = [], change: (inout SessionStore.Options) -> Void = { _ in },
    _ body: (ServerSubject, SessionStore) async throws -> Void
  ) async throws {
    var options = SessionStore.Options()
    (options.memoryBytes, options.survivesPowerLoss) = (1 << 26, false)
    change(&options)
    let store = try SessionStore(path: folder + "/sessions.sluice", options: options)
    try await ServerSubject.run(
      TinyModel(trainedLength: 1024), change: { ($0.sessions, $0.keys) = (store, keys) }, { try await body($0, store) })
  }

  private func assistant(_ text: String) -> JSONValue { ["role": "assistant", "content": .string(text)] }

  @Test(arguments: ["streaming-llm:4+60", "full", "h2o:64"])
  func `a conversation goes on after each restart, whoever sends it again`(plan: String) async throws {
    let fields: JSONValue = ["cache": .string(plan)]
    var expected: [JSONValue] = []
    var messages: [JSONValue] = []
    try await ServerSubject.run(TinyModel(trainedLength: 1024)) { subject in
      for turn in 0..<5 {
        messages.append(user("turn \(turn)"))
        expected.append(try await subject.chat(messages, fields).json)
        messages.append(assistant(try #require(expected.last?.content)))
      }
    }
    let folder = StoreFolder()
    for turn in 0..<5 {
      try await run(in: folder.path) { subject, store in
        let response = try await subject.chat(Array(messages[...(2 * turn)]), fields)
        #expect(response.json.content == expected[turn].content, "turn \(turn)")
        #expect(response.json.cachedTokens == expected[turn].cachedTokens, "turn \(turn)")
        let header = try #require(response.fields["x-sluice-cache"])
        #expect(turn == 0 ? header == "miss; reason=never-stored" : header.hasPrefix("hit; tier="), "turn \(turn)")
        #expect(try await subject.client.get("/v1/sessions").json["data"] == [], "it has no name")
        #expect(store.statistics.failedSaves == 0)
        // One item goes on as long as the conversation does.
        #expect(try store.base.items().count == 1)
      }
    }
  }

  @Test func `two servers go on from one conversation in two ways, and each finds its own again`() async throws {
    let folder = StoreFolder()
    let start = [user("one")]
    try await run(in: folder.path) { first, firstStore in
      try await run(in: folder.path) { second, secondStore in
        let answer = try await first.chat(start).json
        _ = try await first.client.get("/v1/sessions")
        let ways = ["two", "three"].map { start + [assistant(answer.content ?? ""), user($0)] }
        let right = try await second.chat(ways[1])
        #expect(try #require(right.json.cachedTokens) > 0)
        _ = try await second.client.get("/v1/sessions")
        let left = try await first.chat(ways[0])
        _ = try await first.client.get("/v1/sessions")
        // What the second one stored stays, and the first one's next save begins another item.
        #expect(firstStore.statistics.failedSaves == 1)
        let next = [(first, ways[0], left), (second, ways[1], right)]
        for (server, way, response) in next {
          let longer = way + [assistant(response.json.content ?? ""), user("four")]
          let cached = try await server.chat(longer).json.cachedTokens
          #expect(try #require(cached) > #require(right.json.cachedTokens))
          _ = try await server.client.get("/v1/sessions")
        }
        #expect(firstStore.statistics.failedSaves == 1 && secondStore.statistics.failedSaves == 0)
        #expect(try secondStore.base.items().count == 2)
      }
    }
  }

  @Test func `keys share nothing, other models and caches find nothing, and a session stays itself`() async throws {
    let folder = StoreFolder()
    let messages = [user("something that is long enough to be kept")]
    func cached(_ key: String, _ fields: JSONValue = [:]) async throws -> (cached: Int, header: String) {
      var result = (0, "")
      try await run(in: folder.path, keys: ["alpha", "beta"]) { subject, _ in
        let response = try await subject.chat(messages, fields, by: subject.client(key: key))
        result = (try #require(response.json.cachedTokens), response.fields["x-sluice-cache"] ?? "")
      }
      return result
    }
    #expect(try await cached("alpha").cached == 0)
    #expect(try await cached("beta").cached == 0)
    #expect(try await cached("alpha", ["cache": "window:50"]).cached == 0)
    // A session begins with what the same key has read, and is stored under its name beside it.
    #expect(try await cached("alpha", ["session": "s"]).header == "miss; reason=never-stored")
    try await run(in: folder.path, keys: ["alpha", "beta"]) { subject, store in
      #expect(try store.base.items().filter { $0.key.isUnnamed }.count == 3)
      let alpha = subject.client(key: "alpha")
      let again = try await subject.chat([user("more")], ["session": "s"], by: alpha)
      #expect(try #require(again.json.cachedTokens) > 0)
    }
  }

  @Test func `a damaged or missing memory is read again, and nothing is kept where nothing is to be kept`() async throws
  {
    let folder = StoreFolder()
    var messages = [user("one"), assistant("two"), user("three")]
    try await run(in: folder.path) { subject, _ in
      messages.append(assistant(try await subject.chat(messages).json.content ?? ""))
      messages.append(user("four"))
    }
    try SQLiteDatabase(path: folder.path + "/sessions.sluice").execute(
      "UPDATE pages SET content = zeroblob(length(content))")
    try await run(in: folder.path) { subject, _ in
      let response = try await subject.chat(messages)
      #expect(response.fields["x-sluice-cache"] == "miss; reason=corrupt" && response.json.cachedTokens == 0)
      messages += [assistant(response.json.content ?? ""), user("five")]
    }
    try await run(in: folder.path) { subject, _ in
      let response = try await subject.chat(messages).json
      #expect(try #require(response.cachedTokens) > 0, "it was stored anew")
    }
    let other = StoreFolder()
    try await run(in: other.path, change: { $0.unnamedBytes = 0 }) { subject, store in
      _ = try await subject.chat(messages)
      #expect(try await subject.client.post("/v1/responses", ["input": "x", "model": "tiny"]).status == 200)
      store.flush()
      #expect(try store.base.items().isEmpty)
    }
  }

  @Test func `a response is gone on from after a restart and at another server, by its key alone`() async throws {
    let folder = StoreFolder()
    let common: JSONValue = ["model": "tiny", "temperature": 0, "max_output_tokens": 8]
    func ask(
      _ subject: ServerSubject, _ input: String, after previous: String? = nil, _ more: JSONValue = [:], key: String
    ) async throws -> HTTPClient.Response {
      var fields = common.members
      fields["input"] = .string(input)
      if let previous { fields["previous_response_id"] = .string(previous) }
      for (name, value) in more.members { fields[name] = value }
      return try await subject.client(key: key).post("/v1/responses", .object(fields))
    }
    var identifier = ""
    var tokens = 0
    for turn in 0..<4 {
      try await run(in: folder.path, keys: ["alpha", "beta"]) { subject, _ in
        let response = try await ask(
          subject, "turn \(turn)", after: turn == 0 ? nil : identifier, turn == 2 ? ["stream": true] : [:], key: "alpha"
        )
        #expect(response.status == 200)
        let whole =
          turn == 2
          ? try response.events.map { try JSONValue(parsing: $0) }.last?["response"] ?? .null : response.json
        let usage = try #require(whole["usage"])
        #expect(try #require(usage["input_tokens"]?.integer) > tokens)
        tokens = try #require(usage["input_tokens"]?.integer)
        let cached = try #require(usage["input_tokens_details"]?["cached_tokens"]?.integer)
        #expect(turn == 0 ? cached == 0 : cached > 0, "turn \(turn)")
        if turn > 0 {
          #expect(try await ask(subject, "x", after: identifier, key: "beta").status == 400)
          #expect(try await subject.client(key: "beta").get("/v1/responses/" + identifier).status == 404)
          let known = try await subject.client(key: "alpha").get("/v1/responses/" + identifier)
          #expect(known.status == 200 && known.json["id"]?.string == identifier)
        }
        identifier = try #require(whole["id"]?.string)
        #expect(try await ask(subject, "hidden", ["store": false], key: "alpha").status == 200)
      }
    }
    try await run(in: folder.path, keys: ["alpha", "beta"]) { subject, store in
      let alpha = subject.client(key: "alpha")
      #expect(try await alpha.send("DELETE", "/v1/responses/" + identifier, nil).json["deleted"] == true)
      #expect(try await alpha.get("/v1/responses/" + identifier).status == 404)
      #expect(try await ask(subject, "x", after: identifier, key: "alpha").status == 400)
      for item in try store.base.items() {
        let symbols = try? store.find(item.key).get().record(SessionArchive.symbols)
        let places = stride(from: 0, to: symbols?.count ?? 0, by: 4)
        let text = String(decoding: places.compactMap { symbols?[$0] }, as: UTF8.self)
        #expect(!text.contains("hidden"))
      }
    }
  }
}
