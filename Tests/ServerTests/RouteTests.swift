import Engine
import ModelJSON
import TestSupport
import Testing
import Tokenizers

@testable import Server

/// The routes beside chats.
@Suite struct RouteTests {
  @Test func models() async throws {
    try await ServerSubject.run(change: { $0.aliases = ["gpt-4o", "a/b"] }) { subject in
      let list = try await subject.client.get("/v1/models").json
      #expect(list["data"]?.array?.compactMap { $0["id"]?.string } == ["tiny", "gpt-4o", "a/b"])
      #expect(list["data"]?.array?.first?["cache"] == "sinks:4,window:124")
      for name in ["tiny", "gpt-4o", "a/b", "a%2Fb"] {
        #expect(try await subject.client.get("/v1/models/\(name)").status == 200)
      }
      #expect(try await subject.chat([user("hi")], ["model": "gpt-4o"]).json["model"] == "tiny")
    }
  }

  @Test func tokens() async throws {
    try await ServerSubject.run { subject in
      let text = "the <|im_end|> thé 😀"
      let tokens = try #require(
        try await subject.client.post("/tokenize", ["content": .string(text)]).json["tokens"]?.array)
      #expect(tokens.compactMap(\.integer) == subject.loaded.tokenizer.encode(text).map(Int.init))
      let back = try await subject.client.post("/detokenize", ["tokens": .array(tokens)]).json["content"]?.string
      #expect(back == text)
      let parsed = try await subject.client.post("/tokenize", ["content": "<|im_end|>", "parse_special": true]).json
      #expect(parsed["tokens"] == [2])
      let prompt = try await subject.client.post("/apply-template", ["messages": [user("hi")]]).json["prompt"]?.string
      #expect(prompt == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n")
    }
  }

  /// A text, several, and their ids say the same.
  @Test func completions() async throws {
    try await ServerSubject.run { subject in
      let ids = { (text: String) in JSONValue.array(subject.loaded.tokenizer.encode(text).map { JSONValue(Int($0)) }) }
      let texts = { (json: JSONValue) in json["choices"]?.array?.compactMap { $0["text"]?.string } ?? [] }
      let ask = { (prompt: JSONValue) in
        try await subject.client.post("/v1/completions", ["prompt": prompt, "temperature": 0, "max_tokens": 6]).json
      }
      let (a, b) = (texts(try await ask("the sea")), texts(try await ask("a wind")))
      #expect(a.count == 1 && a != [""])
      #expect(texts(try await ask(["the sea", "a wind"])) == a + b)
      #expect(texts(try await ask(ids("the sea"))) == a)
      let both = try await ask([ids("the sea"), ids("a wind")])
      #expect(texts(both) == a + b)
      #expect(both["usage"]?["completion_tokens"] == 12)
      #expect(both["choices"]?.array?.first?["finish_reason"] == "length")
      let streamed = try await subject.client.post(
        "/v1/completions", ["prompt": "the sea", "temperature": 0, "max_tokens": 6, "stream": true])
      let pieces = try streamed.events.dropLast().map { texts(try JSONValue(parsing: $0)).joined() }
      #expect(pieces.joined() == a[0])
      #expect(streamed.events.last == "[DONE]")
    }
  }

  @Test func metricsAreWellFormed() async throws {
    try await ServerSubject.run { subject in
      _ = try await subject.chat([user("hi")])
      let lines = try await subject.client.get("/metrics").body.split(separator: "\n")
      for line in lines where !line.hasPrefix("#") {
        let words = line.split(separator: " ")
        #expect(words.count == 2 && Double(words[1]) != nil, "\(line)")
      }
      #expect(try await subject.metric("answer_tokens_total") == 8)
      #expect(try await subject.metric("requests_finished_total") == 1)
    }
  }
}
