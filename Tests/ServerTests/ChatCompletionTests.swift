import ChatTemplates
import Engine
import KVCaches
import ModelJSON
import TestSupport
import Testing
import Tokenizers

@testable import Server

/// `/v1/chat/completions` against the engine alone.
@Suite struct ChatCompletionTests {
  /// What the engine writes for a conversation by itself.
  private static func reference(_ loaded: LanguageModel.Loaded, _ messages: [JSONValue], limit: Int) throws -> String {
    let rendered = try loaded.template.get().render(TemplateConversation(messages))
    let sequence = try loaded.engine.makeSequence(KVCache.Plan("streaming-llm:4+124"), slotType: .float32)
    sequence.append(rendered.tokens(after: 0))
    var generation = Generation(sequence, tokenizer: loaded.tokenizer, sampling: .greedy, limit: limit)
    let scheduler = Scheduler(engine: loaded.engine)
    var text = ""
    while let piece = try scheduler.next(of: &generation) { text += piece }
    return text
  }

  @Test func anAnswerIsTheEngines() async throws {
    try await ServerSubject.run { subject in
      let messages: [JSONValue] = [["role": "system", "content": "Be brief."], user("the rain")]
      let expected = try Self.reference(subject.loaded, messages, limit: 24)
      let response = try await subject.chat(messages, ["max_tokens": 24])
      #expect(response.status == 200)
      #expect(response.json.content == expected)
      #expect(!expected.isEmpty)
      #expect(response.json.finishReason == "length")
      #expect(response.json["object"]?.string == "chat.completion")
      #expect(response.json["usage"]?["completion_tokens"]?.integer == 24)
      let prompt = try subject.loaded.template.get().render(TemplateConversation(messages)).tokens(after: 0).count
      #expect(response.json["usage"]?["prompt_tokens"]?.integer == prompt)
      #expect(response.json["usage"]?["total_tokens"]?.integer == prompt + 24)
      #expect(response.fields["x-request-id"]?.hasPrefix("req_") == true)
    }
  }

  @Test func aStreamSaysTheSameInPieces() async throws {
    try await ServerSubject.run { subject in
      let whole = try await subject.chat([user("a sea")])
      let response = try await subject.chat(
        [user("a sea")], ["stream": true, "stream_options": ["include_usage": true]])
      #expect(response.fields["content-type"] == "text/event-stream")
      #expect(response.events.last == "[DONE]")
      let chunks = try response.events.dropLast().map { try JSONValue(parsing: $0) }
      let deltas = chunks.compactMap { $0["choices"]?.array?.first?["delta"]?["content"]?.string }
      #expect(deltas.joined() == whole.json.content)
      #expect(chunks.first?["choices"]?.array?.first?["delta"]?["role"]?.string == "assistant")
      let reasons = chunks.compactMap { $0["choices"]?.array?.first?["finish_reason"] }
      #expect(reasons.count(where: { !$0.isNull }) == 1)
      #expect(reasons.last == "length")
      #expect(chunks.last?["choices"] == [])
      #expect(chunks.last?["usage"]?["completion_tokens"]?.integer == 8)
      #expect(chunks.dropLast().allSatisfy { $0["usage"]?.isNull == true })
    }
  }

  @Test func aStreamHasNoUsageUnlessAsked() async throws {
    try await ServerSubject.run { subject in
      let response = try await subject.chat([user("a sea")], ["stream": true])
      #expect(!response.body.contains("usage"))
      #expect(response.events.last == "[DONE]")
    }
  }

  @Test func aModelThatEndsIsAStop() async throws {
    try await ServerSubject.run(TinyModel(endBias: 10)) { subject in
      let response = try await subject.chat([user("the end")])
      #expect(response.json.finishReason == "stop")
      #expect(response.json.content == "")
    }
  }

  @Test func stopStringsEndAnAnswerAndAreNotInIt() async throws {
    try await ServerSubject.run { subject in
      let whole = try #require(try await subject.chat([user("wind")], ["max_tokens": 32]).json.content)
      let middle = whole.index(whole.startIndex, offsetBy: whole.count / 2)
      let stop = String(whole[middle...].prefix(3))
      for streams in [false, true] {
        let response = try await subject.chat(
          [user("wind")], ["max_tokens": 32, "stop": [.string(stop), "never said"], "stream": JSONValue(streams)])
        let text =
          streams
          ? response.events.dropLast().compactMap {
            (try? JSONValue(parsing: $0))?["choices"]?.array?.first?["delta"]?["content"]?.string
          }.joined() : response.json.content
        #expect(text.map { whole.hasPrefix($0) && !$0.contains(stop) } == true)
        #expect(response.body.contains("\"finish_reason\": \"stop\""))
      }
    }
  }

  @Test func seedsAndChoices() async throws {
    try await ServerSubject.run { subject in
      let more: JSONValue = ["temperature": 1, "seed": 7, "n": 3, "max_tokens": 12]
      let first = try await subject.chat([user("dice")], more).json
      let again = try await subject.chat([user("dice")], more).json
      let texts = { (json: JSONValue) in json["choices"]?.array?.compactMap { $0["message"]?["content"]?.string } ?? []
      }
      #expect(texts(first).count == 3)
      #expect(Set(texts(first)).count == 3)
      #expect(texts(first) == texts(again))
      #expect(first["choices"]?.array?.compactMap { $0["index"]?.integer } == [0, 1, 2])
      #expect(first["usage"]?["completion_tokens"]?.integer == 36)
    }
  }

  @Test func aBiasDecidesWhatComes() async throws {
    try await ServerSubject.run { subject in
      let token = try #require(subject.loaded.tokenizer.encode("x").first)
      let response = try await subject.chat([user("hello")], ["logit_bias": [String(token): 100], "max_tokens": 5])
      #expect(response.json.content == "xxxxx")
    }
  }

  /// Nulls, parts, the role developer, and fields that agents send are taken.
  @Test(
    arguments: [
      ["stop": nil, "temperature": nil, "tools": nil, "response_format": nil, "seed": nil, "max_tokens": nil],
      ["max_completion_tokens": 3], ["user": "me", "metadata": ["a": "b"], "store": false, "service_tier": "auto"],
      ["tools": [], "tool_choice": "auto"], ["response_format": ["type": "text"]], ["logprobs": false],
      ["reasoning_effort": "low"], ["n": 1, "presence_penalty": 0.5, "frequency_penalty": -0.5],
      ["top_k": 5, "min_p": 0.1, "repetition_penalty": 1.1], ["cache": "window:32"], ["cache": "full"],
    ] as [JSONValue])
  func whatIsTaken(_ more: JSONValue) async throws {
    try await ServerSubject.run { subject in
      let parts: JSONValue = [
        "role": "developer", "content": [["type": "text", "text": "Be"], ["type": "text", "text": "brief"]],
      ]
      let response = try await subject.chat([parts, user("hi")], more)
      #expect(response.status == 200, "\(response.body)")
      #expect(response.json.content?.isEmpty == false)
    }
  }

  @Test func specialTokensInAMessageStayText() async throws {
    try await ServerSubject.run { subject in
      let plain = try await subject.client.post("/apply-template", ["messages": [user("a<|im_end|>b")]])
      #expect(plain.json["prompt"]?.string?.contains("a<|im_end|>b") == true)
      let counted = try await subject.chat([user("<|im_end|>")]).json["usage"]?["prompt_tokens"]?.integer
      let short = try await subject.chat([user("")]).json["usage"]?["prompt_tokens"]?.integer
      // Ten characters, not one token.
      #expect(try #require(counted) - (try #require(short)) > 5)
    }
  }
}
