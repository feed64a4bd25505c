import ModelJSON
import TestSupport
import Testing

@testable import Server

/// What the server tells of the conversations that it holds.
@Suite struct SessionTests {
  private func memory(_ subject: ServerSubject, _ name: String = "s", key: String? = nil) async throws -> JSONValue {
    let client = key.map { subject.client(key: $0) } ?? subject.client
    let response = try await client.get("/v1/sessions/\(name)/memory")
    #expect(response.status == 200, "\(response.body)")
    return response.json
  }

  private func runs(_ memory: JSONValue) -> [[JSONValue]] {
    (memory["groups"]?.array?.first?["stages"]?.array ?? []).map { $0["runs"]?.array ?? [] }
  }

  @Test func aNameThatNobodyUsedIsEmpty() async throws {
    try await ServerSubject.run { subject in
      let memory = try await memory(subject)
      #expect(memory["state"] == "empty" && memory["messages"] == 0)
      #expect(try await subject.client.get("/v1/sessions/s/tokens").json["texts"] == [])
    }
  }

  @Test func thePictureIsTheStream() async throws {
    try await ServerSubject.run { subject in
      let usage = try await subject.chat([user("the thé 😀")], ["session": "a b", "max_tokens": 20]).json["usage"]
      let all = try #require(usage?["total_tokens"]?.integer)
      let memory = try await memory(subject, "a%20b")
      let read = try #require(memory["tokens"]?.integer)
      #expect(memory["state"] == "resting" && memory["messages"] == 2)
      #expect(read + (memory["waiting_tokens"]?.integer ?? 0) == all)
      #expect(memory["cache"] == "sinks:4,window:124" && memory["cache_type"] == "f32")
      #expect(try #require(memory["bytes"]?.integer) > 0)
      #expect(runs(memory) == [[[0, 4, 1.0]], [[4, JSONValue(read), 1.0]]])
      #expect(memory["groups"]?.array?.first?["heads"] == 4)
      let texts = try #require(try await subject.client.get("/v1/sessions/a%20b/tokens").json["texts"]?.array)
      #expect(texts.count == all)
      let stream = texts.compactMap(\.string).joined()
      #expect(stream.contains("<|im_start|>user\nthe thé 😀<|im_end|>\n<|im_start|>assistant\n"))
    }
  }

  @Test func anotherCacheShowsWhatItForgets() async throws {
    try await ServerSubject.run { subject in
      let first = try await subject.chat([user("one two three four five")], ["session": "s", "max_tokens": 40])
      #expect(first.json.content?.isEmpty == false)
      let response = try await subject.client.post("/v1/sessions/s/memory", ["cache": "sinks:2,window:10"])
      #expect(response.status == 200, "\(response.body)")
      let read = try #require(response.json["tokens"]?.integer)
      #expect(runs(response.json) == [[[0, 2, 1.0]], [[JSONValue(read - 10), JSONValue(read), 1.0]]])
      #expect(response.json["evicted_tokens"] == JSONValue(read - 12))
      #expect(response.json["messages"] == 2)
      // The conversation goes on with what was read.
      let second = try await subject.chat([user("six")], ["session": "s", "cache": "sinks:2,window:10"])
      #expect(try #require(second.json.cachedTokens) > read / 2)
      #expect(try await memory(subject)["messages"] == 4)
    }
  }

  /// Where heads choose, shares say how many of them hold a token, also after an answer was taken back.
  @Test func sharesOfHeads() async throws {
    try await ServerSubject.run { subject in
      for turn in 0..<3 {
        _ = try await subject.chat(
          [user("turn \(turn)")], ["session": "s", "cache": "h2o:32[positions=clipped]", "max_tokens": 30])
        let memory = try await memory(subject)
        let held = runs(memory).joined().reduce(0.0) { sum, run in
          let numbers = run.array?.compactMap(\.double) ?? []
          return sum + (numbers[1] - numbers[0]) * numbers[2]
        }
        #expect(abs(held - Double(memory["held_tokens"]?.integer ?? 0)) < 0.5)
      }
    }
  }

  @Test func ownersAndForgetting() async throws {
    try await ServerSubject.run(change: { $0.keys = ["alpha", "beta"] }) { subject in
      let alpha = subject.client(key: "alpha")
      _ = try await subject.chat([user("a secret")], ["session": "s"], by: alpha)
      #expect(try await memory(subject, key: "alpha")["messages"] == 2)
      #expect(try await memory(subject, key: "beta")["state"] == "empty")
      let beta = subject.client(key: "beta")
      #expect(try await beta.get("/v1/sessions/s/tokens").json["texts"] == [])
      #expect(try await beta.send("DELETE", "/v1/sessions/s", nil).json["deleted"] == false)
      #expect(try await subject.client.get("/v1/sessions/s/memory").status == 401)
      #expect(try await alpha.send("DELETE", "/v1/sessions/s", nil).json["deleted"] == true)
      #expect(try await memory(subject, key: "alpha")["state"] == "empty")
      #expect(try await subject.metric("memory_held_bytes", by: alpha) == 0)
    }
  }

  @Test func badRequests() async throws {
    try await ServerSubject.run { subject in
      let client = subject.client
      _ = try await subject.chat([user("hi")], ["session": "s"])
      let long = String(repeating: "n", count: 129)
      let cases: [(name: String, body: JSONValue, parameter: String, status: Int)] = [
        ("s", ["cache": "nonsense:1"], "cache", 400), ("s", ["cache": 5], "cache", 400),
        ("s", ["cash": "full"], "cash", 400), ("nobody", ["cache": "full"], "session", 404),
        (long, ["cache": "full"], "session", 400),
      ]
      for (name, body, parameter, status) in cases {
        let response = try await client.post("/v1/sessions/\(name)/memory", body)
        #expect(response.status == status && response.json["error"]?["param"]?.string == parameter, "\(response.body)")
      }
      let wrong = try await client.send("PUT", "/v1/sessions/s/memory", nil)
      #expect(wrong.status == 405 && wrong.fields["allow"] == "GET, POST")
      for path in ["/v1/sessions/", "/v1/sessions//memory", "/v1/sessions/s/other"] {
        #expect(try await client.get(path).status == 404)
      }
      #expect(try await memory(subject)["messages"] == 2)
    }
  }

  @Test(.timeLimit(.minutes(1))) func noTokensAreAnAnswerToo() async throws {
    try await ServerSubject.run { subject in
      for _ in 0..<2 {
        let response = try await subject.chat([user("hi")], ["max_tokens": 0])
        #expect(response.status == 200 && response.json.content == "" && response.json.finishReason == "length")
      }
      let again = try await subject.chat([user("hi")])
      #expect(try #require(again.json.cachedTokens) > 0)
    }
  }
}
