import ModelJSON
import TestSupport
import Testing

@testable import Server

/// What a conversation has read is not read again, and nobody else gets it.
@Suite struct ReuseTests {
  private static let question = "the mountain and the river and the sea and the wind"

  /// The first two turns of a conversation; gives the second answer.
  private func twoTurns(
    _ subject: ServerSubject, _ more: JSONValue = [:], by client: HTTPClient? = nil
  ) async throws -> (first: JSONValue, second: JSONValue) {
    let first = try await subject.chat([user(Self.question)], more, by: client).json
    let answer: JSONValue = ["role": "assistant", "content": .string(first.content ?? "")]
    let second = try await subject.chat([user(Self.question), answer, user("and then?")], more, by: client).json
    return (first, second)
  }

  @Test(arguments: ["streaming-llm:4+124", "full", "window:64", "cascading:64/2", "h2o:64", "subgen:64", "snapkv:64"])
  func aConversationGoesOn(_ plan: String) async throws {
    try await ServerSubject.run { subject in
      let (first, second) = try await twoTurns(subject, ["cache": .string(plan)])
      #expect(first.cachedTokens == 0)
      let before = try #require(first["usage"]?["total_tokens"]?.integer)
      #expect(try #require(second.cachedTokens) >= before - 1)
    }
  }

  /// A server that has never seen the conversation answers as the one that goes on.
  @Test(arguments: ["streaming-llm:4+124", "full", "window:64"])
  func reuseDoesNotChangeTheAnswer(_ plan: String) async throws {
    let fields: JSONValue = ["max_tokens": 16, "cache": .string(plan)]
    var (history, expected): ([JSONValue], String?) = ([], nil)
    try await ServerSubject.run { subject in
      let (first, second) = try await twoTurns(subject, fields)
      #expect(try #require(second.cachedTokens) > 0)
      expected = second.content
      history = [
        user(Self.question), ["role": "assistant", "content": .string(first.content ?? "")], user("and then?"),
      ]
    }
    try await ServerSubject.run { subject in
      let fresh = try await subject.chat(history, fields).json
      #expect(fresh.cachedTokens == 0)
      #expect(fresh.content == expected)
      #expect(expected?.isEmpty == false)
    }
  }

  /// Its newest tokens are taken back with the answer; a step's tokens go together, which are 64 here.
  @Test func theSameRequestAgainReadsItsEnd() async throws {
    try await ServerSubject.run { subject in
      let long = String(repeating: Self.question, count: 5)
      let first = try await subject.chat([user(long)]).json
      let again = try await subject.chat([user(long)]).json
      #expect(again.content == first.content)
      let prompt = try #require(again["usage"]?["prompt_tokens"]?.integer)
      #expect(try #require(again.cachedTokens) > prompt / 2)
    }
  }

  @Test func keysShareNothing() async throws {
    try await ServerSubject.run(change: { $0.keys = ["alpha", "beta"] }) { subject in
      let (alpha, beta) = (subject.client(key: "alpha"), subject.client(key: "beta"))
      _ = try await twoTurns(subject, by: alpha)
      let (first, _) = try await twoTurns(subject, by: beta)
      #expect(first.cachedTokens == 0)
      // A session of one key is not the other's.
      _ = try await subject.chat([user("my secret is 42")], ["session": "s"], by: alpha)
      let other = try await subject.chat([user("hello")], ["session": "s"], by: beta).json
      let alone = try await subject.chat([user("hello")], by: beta).json
      #expect(other["usage"]?["prompt_tokens"] == alone["usage"]?["prompt_tokens"])
    }
  }

  @Test func aSessionIsHeldByTheServer() async throws {
    try await ServerSubject.run { subject in
      let (first, second) = try await twoTurns(subject)
      let held = try await subject.chat([user(Self.question)], ["session": "s"]).json
      #expect(held.content == first.content)
      let next = try await subject.chat([user("and then?")], ["session": "s"]).json
      #expect(next.content == second.content)
      #expect(next["usage"]?["prompt_tokens"] == second["usage"]?["prompt_tokens"])
      #expect(try #require(next.cachedTokens) > 0)
    }
  }

  @Test func aStrangersOneShotThrowsNothingOut() async throws {
    // Room for three memories of 128 tokens or so.
    try await ServerSubject.run(change: {
      $0.keys = ["alpha", "beta"]; $0.memoryBytes = 500_000
    }) { subject in
      let (alpha, beta) = (subject.client(key: "alpha"), subject.client(key: "beta"))
      let first = try await subject.chat([user(Self.question)], by: alpha).json
      for index in 0..<8 { _ = try await subject.chat([user("\(index) one shot")], by: beta) }
      let answer: JSONValue = ["role": "assistant", "content": .string(first.content ?? "")]
      let second = try await subject.chat([user(Self.question), answer, user("and then?")], by: alpha).json
      #expect(try #require(second.cachedTokens) > 0)
      let limit = try #require(try await subject.metric("memory_limit_bytes", by: beta))
      #expect(try #require(try await subject.metric("memory_held_bytes", by: beta)) <= limit)
    }
  }
}
