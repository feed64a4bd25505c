import Engine
import ModelJSON
import Synchronization
import TestSupport
import Testing

@testable import Server
@testable import SessionStore

/// Named sessions that outlive the server.
@Suite struct KeptSessionTests {
  private static func store(
    _ folder: String, _ change: (inout SessionStore.Options) -> Void = { _ in }
  ) throws -> SessionStore {
    var options = SessionStore.Options()
    (options.memoryBytes, options.survivesPowerLoss) = (1 << 26, false)
    change(&options)
    return try SessionStore(disk: disk(folder, options.diskBytes), options: options, terms: longTerms)
  }

  private static func disk(_ folder: String, _ byteLimit: Int = 1 << 30) throws -> DiskTier {
    try DiskTier(path: folder + "/sessions.sluice", byteLimit: byteLimit, durability: .process)
  }

  /// Leases that outlive a test on a machine that stands still for a while.
  private static var longTerms: SessionLeases.Terms {
    var terms = SessionLeases.Terms()
    (terms.lifetime, terms.patience) = (.seconds(86_400), .seconds(86_400))
    return terms
  }

  /// A server that keeps sessions in a folder; each call starts it anew.
  private func run(
    in folder: String, keys: [String] = [], seed: UInt64 = 1, store: SessionStore? = nil,
    _ body: (ServerSubject, SessionStore) async throws -> Void
  ) async throws {
    let store = try store ?? Self.store(folder)
    try await ServerSubject.run(
      TinyModel(seed: seed, trainedLength: 1024), change: { ($0.sessions, $0.keys) = (store, keys) },
      { try await body($0, store) })
  }

  private func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = StoreFolder()
    try await body(folder.path)
  }

  @Test(arguments: ["streaming-llm:4+60", "full", "h2o:64", "cascading:64/2", "subgen:64"])
  func `a conversation goes on after each restart as if there had been none`(plan: String) async throws {
    let fields: JSONValue = ["cache": .string(plan), "session": "s"]
    var expected: [JSONValue] = []
    try await ServerSubject.run(TinyModel(trainedLength: 1024)) { subject in
      for turn in 0..<6 { expected.append(try await subject.chat([user("turn \(turn)")], fields).json) }
    }
    try await withFolder { folder in
      for turn in 0..<6 {
        try await run(in: folder) { subject, store in
          let response = try await subject.chat([user("turn \(turn)")], fields)
          #expect(response.json.content == expected[turn].content, "turn \(turn)")
          #expect(response.json.cachedTokens == expected[turn].cachedTokens, "turn \(turn)")
          let header = try #require(response.fields["x-sluice-cache"])
          if turn == 0 {
            #expect(header == "miss; reason=never-stored")
          } else {
            let cached = try #require(response.json.cachedTokens)
            #expect(cached > 0 && header.hasPrefix("hit; tier=") && header.hasSuffix("; tokens=\(cached)"))
            #expect(["disk", "memory"].contains(response.json["usage"]?["cache"]?["tier"]?.string))
          }
        }
      }
    }
  }

  @Test func `what cannot be taken up is read again, and the answer says why`() async throws {
    try await withFolder { folder in

      func ask(_ text: String, _ more: JSONValue = ["session": "s"], seed: UInt64 = 1) async throws -> (
        header: String, json: JSONValue
      ) {
        var result = ("", JSONValue.null)
        try await run(in: folder, seed: seed) { subject, _ in
          let response = try await subject.chat([user(text)], more)
          result = (response.fields["x-sluice-cache"] ?? "", response.json)
        }
        return result
      }
      #expect(try await ask("one").header == "miss; reason=never-stored")
      let prompt = try await ask("two").json["usage"]?["prompt_tokens"]?.integer
      // Another model, then the first one again, which finds the other's memory.
      let other = try await ask("three", seed: 5)
      #expect(other.header == "miss; reason=other-model" && other.json.cachedTokens == 0)
      #expect(try #require(other.json["usage"]?["prompt_tokens"]?.integer) > #require(prompt), "the messages are known")
      #expect(try await ask("four").header == "miss; reason=other-model")
      #expect(try await ask("five", ["session": "s", "cache": "window:50"]).header == "miss; reason=other-model")
      #expect(try await ask("six", ["session": "s", "cache": "window:50"]).header.hasPrefix("hit; tier="))
      try SQLiteDatabase(path: folder + "/sessions.sluice").execute(
        "UPDATE pages SET content = zeroblob(length(content)) WHERE place >= \(Int64(3) << 32)")
      let damaged = try await ask("seven", ["session": "s", "cache": "window:50"])
      #expect(damaged.header == "miss; reason=corrupt" && damaged.json["usage"]?["cache"]?["reason"] == "corrupt")
      #expect(try await ask("eight", ["session": "s", "cache": "window:50"]).header.hasPrefix("hit; tier="))

    }
  }

  @Test(arguments: ["streaming-llm:4+60", "h2o:64"])
  func `servers that take turns go on with what the other one stored`(plan: String) async throws {
    let fields: JSONValue = ["cache": .string(plan), "session": "s"]
    var expected: [JSONValue] = []
    try await ServerSubject.run(TinyModel(trainedLength: 1024)) { subject in
      for turn in 0..<9 { expected.append(try await subject.chat([user("turn \(turn)")], fields).json) }
    }
    try await withFolder { folder in
      try await run(in: folder) { first, firstStore in
        try await run(in: folder) { second, secondStore in
          for (turn, isFirst) in [true, false, true, true, false, false, true, false, true].enumerated() {
            let response = try await (isFirst ? first : second).chat([user("turn \(turn)")], fields).json
            #expect(response.content == expected[turn].content, "turn \(turn)")
            #expect(response.cachedTokens == expected[turn].cachedTokens, "turn \(turn)")
            // What is stored is what the other one may rely on.
            _ = try await (isFirst ? first : second).client.get("/v1/sessions")
          }
          #expect(firstStore.statistics.failedSaves == 0 && secondStore.statistics.failedSaves == 0)
        }
      }
    }
  }

  @Test func `two servers that are asked at once answer one after the other`() async throws {
    try await withFolder { folder in
      try await run(in: folder) { first, firstStore in
        try await run(in: folder) { second, secondStore in
          let servers = [first, second, second]
          for round in 0..<6 {
            // Two of a server would be told that it is busy.
            try await withThrowingTaskGroup(of: Int.self) { group in
              for server in servers[(round % 2)...].prefix(2) {
                group.addTask {
                  try await server.chat([user("round \(round)")], ["session": "s", "max_tokens": 20]).status
                }
              }
              for try await status in group { #expect(status == 200 || (round % 2 == 1 && status == 409)) }
            }
          }
          for server in [first, second] { _ = try await server.client.get("/v1/sessions") }
          #expect(firstStore.statistics.failedSaves == 0 && secondStore.statistics.failedSaves == 0)
          let messages = try await first.chat([user("last")], ["session": "s"]).json
          #expect(try #require(messages.cachedTokens) > 0)
          let held = try await first.client.get("/v1/sessions/s/memory").json["messages"]?.integer
          #expect(try #require(held) >= 2 * 10, "no turn is lost")
        }
      }
    }
  }

  @Test func `a session that another server answers is a 409, and one of a dead server is taken over`() async throws {
    try await withFolder { folder in
      var terms = Self.longTerms
      terms.patience = .zero
      let disk = try Self.disk(folder)
      try await run(in: folder, store: SessionStore(disk: disk, terms: terms)) { subject, store in
        _ = try await subject.chat([user("one")], ["session": "s"])
        store.flush()
        await store.leases.settled()
        let key = ItemKey(tenant: "server:", name: "s")
        guard case .granted(let lease) = try disk.lease(key, to: "another", milliseconds: 90_000) else {
          Issue.record("the lease was not given back")
          return
        }
        let refused = try await subject.chat([user("two")], ["session": "s"])
        #expect(refused.status == 409 && refused.json["error"]?["code"] == "session_leased")
        #expect(try #require(refused.fields["retry-after"].flatMap { Int($0) }) > 80)
        #expect(try await subject.client.send("DELETE", "/v1/sessions/s", nil).status == 409)
        #expect(try await subject.client.post("/v1/sessions/s/fork", ["id": "t"]).status == 200)
        #expect(try await subject.chat([user("two")], ["session": "t"]).status == 200)
        // The other one dies: nobody renews its lease.
        #expect(try disk.renewLease(lease, milliseconds: 1))
        var response = refused
        while response.status == 409 { response = try await subject.chat([user("two")], ["session": "s"]) }
        #expect(try response.status == 200 && #require(response.json.cachedTokens) > 0)
      }
    }
  }

  @Test func `a server that stood still while another one went on gives no answer and stores nothing`() async throws {
    try await withFolder { folder in
      var terms = SessionLeases.Terms()
      (terms.lifetime, terms.renewal) = (.milliseconds(1), .milliseconds(20))
      let disk = try Self.disk(folder)
      try await run(in: folder, store: SessionStore(disk: disk, terms: terms)) { subject, store in
        let archive = SessionArchive(
          store, model: subject.loaded.fingerprint, access: Access(keys: [], isLoopback: true))
        let saved = Mutex(0)
        let conversations = ConversationStore(archive: archive) { _, _, lease in
          saved.withLock { $0 += 1 }
          if let lease { archive.end(lease) }
        }
        let turn = try await conversations.begin("s", owner: 0, adding: [user("one")])
        while case .held = try disk.lease(archive.key("s", owner: 0), to: "another", milliseconds: 90_000) {}
        while turn.lease?.isLost == false { await Task.yield() }
        let error = await #expect(throws: RequestError.self) { try await turn.finish(Answer()) }
        #expect(error?.status == 409 && error?.code == "session_taken_over")
        turn.abandon()
        #expect(saved.withLock { $0 } == 0 && !conversations.holds("s", owner: 0))
      }
    }
  }

  @Test func `a full store ends no answer`() async throws {
    try await withFolder { folder in
      let store = try Self.store(folder) { $0.diskBytes = 1000 }
      try await run(in: folder, store: store) { subject, _ in
        for turn in 0..<3 {
          let response = try await subject.chat([user("turn \(turn)")], ["session": "s"])
          #expect(response.status == 200)
        }
      }
      #expect(store.statistics.failedSaves == 3 && store.statistics.saves == 0)
    }
  }

  @Test func `sessions are listed, shown, copied, pinned and deleted, each key's for itself`() async throws {
    try await withFolder { folder in
      try await run(in: folder, keys: ["alpha", "beta"]) { subject, _ in
        let (alpha, beta) = (subject.client(key: "alpha"), subject.client(key: "beta"))
        let first = try await subject.chat([user("one")], ["session": "a b/c"], by: alpha)
        #expect(first.status == 200)
        let list = try await alpha.get("/v1/sessions").json
        #expect(list["data"]?.array?.map { $0["id"] } == ["a b/c"])
        #expect(try await beta.get("/v1/sessions").json["data"] == [])
        let path = "/v1/sessions/a%20b%2Fc"
        let shown = try await alpha.get(path).json
        #expect(shown["model"]?.string?.hasSuffix(".gguf") == true && shown["pinned"] == false)
        #expect(try #require(shown["tokens"]?.integer) > 10 && #require(shown["bytes"]?.integer) > 1000)
        #expect(try await beta.get(path).status == 404)
        #expect(try await alpha.post(path + "/pin", "").json["pinned"] == true)
        #expect(try await alpha.post(path + "/unpin", "").json["pinned"] == false)
        #expect(try await alpha.post(path + "/burn", "").status == 404)
        #expect(try await alpha.send("PUT", path, nil).status == 405)

        #expect(try await alpha.post(path + "/fork", ["id": "copy"]).json["id"] == "copy")
        #expect(try await alpha.post(path + "/fork", ["id": "copy"]).status == 409)
        #expect(try await alpha.post(path + "/fork", ["name": "copy"]).status == 400)
        let (original, copy) = (
          try await subject.chat([user("two")], ["session": "a b/c"], by: alpha),
          try await subject.chat([user("two")], ["session": "copy"], by: alpha)
        )
        #expect(copy.json.content == original.json.content && copy.json.cachedTokens == original.json.cachedTokens)
        #expect(copy.fields["x-sluice-cache"]?.hasPrefix("hit; tier=") == true)

        #expect(try await beta.send("DELETE", path, nil).json["deleted"] == false)
        #expect(try await alpha.send("DELETE", path, nil).json["deleted"] == true)
        #expect(try await alpha.get(path).status == 404)
        let again = try await subject.chat([user("one")], ["session": "a b/c"], by: alpha)
        #expect(again.json["usage"]?["prompt_tokens"] == first.json["usage"]?["prompt_tokens"], "it begins anew")
        #expect(try await alpha.get(path).status == 200)
      }
    }
    try await ServerSubject.run { subject in
      let response = try await subject.client.get("/v1/sessions")
      #expect(response.status == 404 && response.body.contains("--session-store"))
    }
  }

  @Test func `a conversation whose memory went is stored with what was stored of it before`() async throws {
    try await withFolder { folder in
      try await run(in: folder) { subject, store in
        _ = try await subject.chat([user("one")], ["session": "s"])
        store.flush()
        let tokens = try #require(try store.session(named: "s", of: "server:")).tokens
        let archive = SessionArchive(
          store, model: subject.loaded.fingerprint, access: Access(keys: [], isLoopback: true))
        let key = archive.key("s", owner: 0)
        let messages = try #require(archive.messages(of: key))
        StoredMemories(archive).save(SessionArchive.record(messages + [user("two")]), nil, key)
        store.flush()
        #expect(archive.messages(of: key) == messages + [user("two")])
        #expect(try store.session(named: "s", of: "server:")?.tokens == tokens)
      }
      try await run(in: folder) { subject, _ in
        let response = try await subject.chat([user("three")], ["session": "s"])
        #expect(try #require(response.json.cachedTokens) > 0)
      }
    }
  }
}
