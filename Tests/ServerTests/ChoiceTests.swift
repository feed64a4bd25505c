import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Several answers to one prompt (`n`).
@Suite struct ChoiceTests {
  private static let plans = [
    "full", "window:64", "streaming-llm:4+60", "cascading:64/2", "h2o:64", "tova:64", "snapkv:64", "quest:64",
    "subgen:64",
  ]

  /// The memory of the first is copied, whatever the cache: the others say what they would say alone.
  @Test(arguments: plans)
  func thePromptIsReadOnce(_ plan: String) async throws {
    let messages = [user("the rain in spain stays mainly in the plain, and the sea is the other side of the rain")]
    let fields: JSONValue = ["cache": .string(plan), "temperature": 1, "seed": 5, "max_tokens": 24]
    var alone: [String] = []
    for choice in 0..<3 {
      // Each from a server that has read nothing.
      try await ServerSubject.run { subject in
        var members = fields.members
        members["seed"] = JSONValue(5 + choice)
        alone.append(try #require(try await subject.chat(messages, .object(members)).json.content))
      }
    }
    try await ServerSubject.run { subject in
      var members = fields.members
      members["n"] = 3
      let json = try await subject.chat(messages, .object(members)).json
      let choices = try #require(json["choices"]?.array)
      #expect(choices.map { $0["message"]?["content"]?.string } == alone)
      let prompt = try #require(json["usage"]?["prompt_tokens"]?.integer)
      let total = try #require(try await subject.metric("prompt_tokens_total"))
      let cached = try #require(try await subject.metric("prompt_tokens_cached_total"))
      #expect(total == Double(3 * prompt) && cached == Double(2 * prompt))
      #expect(json.cachedTokens == 0)
      #expect(try await subject.metric("requests_running") == 0)
    }
  }

  /// Where there is no room for all at once, the others wait and read.
  @Test func oneAfterAnother() async throws {
    try await ServerSubject.run(change: { $0.parallel = 1 }) { subject in
      let json = try await subject.chat([user("dice")], ["n": 3, "temperature": 0]).json
      let texts = json["choices"]?.array?.compactMap { $0["message"]?["content"]?.string } ?? []
      #expect(texts.count == 3 && Set(texts).count == 1)
    }
  }

  @Test func promptsOfACompletionAreSharedByTheirOwnAnswers() async throws {
    try await ServerSubject.run { subject in
      let fields: JSONValue = [
        "prompt": ["the sea", "a rain"], "n": 2, "temperature": 0, "max_tokens": 6, "stop": ["never said"],
      ]
      let choices = try #require(try await subject.client.post("/v1/completions", fields).json["choices"]?.array)
      let texts = choices.compactMap { $0["text"]?.string }
      #expect(texts.count == 4 && texts[0] == texts[1] && texts[2] == texts[3] && texts[0] != texts[2])
      for (index, prompt) in ["the sea", "a rain"].enumerated() {
        let alone = try await subject.client.post(
          "/v1/completions", ["prompt": .string(prompt), "temperature": 0, "max_tokens": 6])
        #expect(alone.json["choices"]?.array?.first?["text"]?.string == texts[2 * index])
      }
    }
  }
}
