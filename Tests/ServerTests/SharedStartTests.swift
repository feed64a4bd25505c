import Engine
import ModelJSON
import TestSupport
import Testing

@testable import Server
@testable import SessionStore

/// Prompts that begin as what other conversations have stored.
@Suite struct SharedStartTests {
  private static let full: JSONValue = ["cache": "full"]
  /// Some hundred tokens that conversations have in common.
  private static let start: JSONValue = [
    "role": "system", "content": .string((0..<60).map { "rule \($0)." }.joined(separator: " ")),
  ]

  private func run(
    in folder: String, keys: [String] = [], _ body: (ServerSubject, SessionStore) async throws -> Void
  ) async throws {
    var options = SessionStore.Options()
    options.memoryBytes = 0
    let disk = try DiskTier(path: folder + "/sessions.sluice", byteLimit: 1 << 30, durability: .process)
    let store = SessionStore(disk: disk, options: options)
    try await ServerSubject.run(
      TinyModel(trainedLength: 2048), change: { ($0.sessions, $0.keys) = (store, keys) },
      { try await body($0, store) })
  }

  /// What a server without a store answers to the last of some requests.
  private func expected(_ requests: [JSONValue]...) async throws -> String? {
    var content: String?
    try await ServerSubject.run(TinyModel(trainedLength: 2048)) { subject in
      for messages in requests { content = try await subject.chat(messages, Self.full).json.content }
    }
    return content
  }

  /// Asks a server that was just started.
  private func ask(
    _ messages: [JSONValue], _ more: JSONValue = full, in folder: String, key: String? = nil
  ) async throws -> (header: String, cached: Int, content: String?) {
    var result: (String, Int, String?) = ("", 0, nil)
    try await run(in: folder, keys: ["alpha", "beta"]) { subject, store in
      let client = subject.client(key: key ?? "alpha")
      let response = try await subject.chat(messages, more, by: client)
      _ = try await client.get("/v1/sessions")
      result = (
        response.fields["x-sluice-cache"] ?? "", response.json.cachedTokens ?? -1, response.json.content
      )
      #expect(store.statistics.failedSaves == 0)
    }
    return result
  }

  private func merged(_ a: JSONValue, _ b: JSONValue) -> JSONValue {
    var members = a.members
    for (name, value) in b.members { members[name] = value }
    return .object(members)
  }

  @Test(arguments: [[], ["session"]])
  func `a new conversation goes on with the start that it shares, and answers the same`(named: [String]) async throws {
    let folder = StoreFolder()
    func fields(_ name: String) -> JSONValue {
      named.isEmpty ? Self.full : merged(Self.full, ["session": .string(name)])
    }
    let first = try await ask([Self.start, user("one")], fields("a"), in: folder.path)
    #expect(first.header == "miss; reason=never-stored")
    let messages = [Self.start, user("quite another question")]
    let second = try await ask(messages, fields("b"), in: folder.path)
    #expect(second.cached > 300 && second.header == "hit; tier=disk; tokens=\(second.cached)")
    #expect(try await second.content == expected(messages))
    // Each has its own memory from then on.
    if named.isEmpty {
      for (start, answer) in [([Self.start, user("one")], first.content), (messages, second.content)] {
        let longer = start + [["role": "assistant", "content": .string(answer ?? "")], user("more")]
        let third = try await ask(longer, in: folder.path)
        #expect(third.cached > second.cached)
        // What the model wrote is not read again as its text would be.
        #expect(try await third.content == expected(start, longer))
      }
    } else {
      for name in ["a", "b"] {
        let third = try await ask([user("more")], fields(name), in: folder.path)
        #expect(third.cached > second.cached && third.header == "hit; tier=disk; tokens=\(third.cached)")
      }
    }
  }

  @Test func `the longest start of all that is stored is taken, of sessions too`() async throws {
    let folder = StoreFolder()
    let document = (0..<80).map { "line \($0)" }.joined(separator: "\n")
    _ = try await ask([Self.start, user(document + " one")], merged(Self.full, ["session": "a"]), in: folder.path)
    _ = try await ask([Self.start, user("short")], in: folder.path)
    let messages = [Self.start, user(document + " two")]
    let answer = try await ask(messages, in: folder.path)
    #expect(answer.cached > 800, "\(answer)")
    #expect(try await answer.content == expected(messages))
  }

  @Test func `an answer that is asked for again, or a message that was edited, reads what follows it`() async throws {
    let folder = StoreFolder()
    let first = try await ask([Self.start, user("one")], in: folder.path)
    let again = try await ask([Self.start, user("one")], in: folder.path)
    #expect(again.content == first.content && again.cached > 300)
    let answer: JSONValue = ["role": "assistant", "content": .string(first.content ?? "")]
    _ = try await ask([Self.start, user("one"), answer, user("two")], in: folder.path)
    let messages = [Self.start, user("one"), answer, user("three")]
    let edited = try await ask(messages, in: folder.path)
    #expect(edited.cached > again.cached)
    #expect(try await edited.content == expected(messages))
  }

  @Test func `keys share nothing, and bounded caches start anew`() async throws {
    let folder = StoreFolder()
    _ = try await ask([Self.start, user("one")], in: folder.path)
    let other = try await ask([Self.start, user("two")], in: folder.path, key: "beta")
    #expect(other.cached == 0 && other.header == "miss; reason=never-stored")
    let bounded: JSONValue = ["cache": "streaming-llm:4+60"]
    _ = try await ask([Self.start, user("one")], bounded, in: folder.path)
    #expect(try await ask([Self.start, user("two")], bounded, in: folder.path).cached == 0)
  }

  @Test func `of a damaged session the oldest blocks are used, and it is stored whole again`() async throws {
    let folder = StoreFolder()
    let messages = [Self.start, user("one")]
    let first = try await ask(messages, in: folder.path)
    let longer = messages + [["role": "assistant", "content": .string(first.content ?? "")], user("two")]
    let database = try SQLiteDatabase(path: folder.path + "/sessions.sluice")
    // The newest block that there is.
    try database.execute(
      "UPDATE pages SET content = zeroblob(length(content)) WHERE item = (SELECT MIN(item) FROM pages)")
    let damaged = try await ask(longer, in: folder.path)
    #expect(damaged.header == "hit; tier=disk; tokens=\(damaged.cached); reason=corrupt")
    #expect([64, 128, 256, 512].contains(damaged.cached))
    #expect(try await damaged.content == expected(longer))
    let next = longer + [["role": "assistant", "content": .string(damaged.content ?? "")], user("three")]
    let whole = try await ask(next, in: folder.path)
    #expect(whole.header == "hit; tier=disk; tokens=\(whole.cached)" && whole.cached > 400)
  }
}
