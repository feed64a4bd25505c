import CLibrary
import ChatTemplates
import Engine
import KVCaches
import ModelJSON
import TestSupport
import Testing
import Tokenizers

@testable import Server

/// `logprobs` of chat completions and completions.
@Suite struct ProbabilityTests {
  /// The logarithms of the probabilities after a prompt, by the engine alone.
  private static func reference(_ loaded: LanguageModel.Loaded, _ tokens: [Int32]) throws -> [Double] {
    let cache = try loaded.engine.makeCache(.full, slotType: .float32)
    loaded.engine.feed(tokens, cache: cache)
    loaded.engine.finishPrompt(of: cache)
    let logits = Array(loaded.engine.logits(row: tokens.count - 1)).map(Double.init)
    let sum = log(logits.reduce(0) { $0 + exp($1) })
    return logits.map { $0 - sum }
  }

  private func entries(_ json: JSONValue) -> [JSONValue] {
    json["choices"]?.array?.first?["logprobs"]?["content"]?.array ?? []
  }

  private func bytes(_ entries: [JSONValue]) -> [UInt8] {
    entries.flatMap { $0["bytes"]?.array?.compactMap(\.integer).map { UInt8($0) } ?? [] }
  }

  @Test func theyAreTheModelsWhateverIsChosen() async throws {
    try await ServerSubject.run { subject in
      let prompt = try subject.loaded.template.get().render(TemplateConversation([user("the sea")])).tokens(after: 0)
      let expected = try Self.reference(subject.loaded, prompt)
      let order = expected.indices.sorted { expected[$0] > expected[$1] }
      let biased = try #require(subject.loaded.tokenizer.encode("x").first)
      for fields in [
        ["logprobs": true, "top_logprobs": 5], ["logprobs": true, "top_logprobs": 5, "temperature": 1.5, "top_k": 3],
        ["logprobs": true, "top_logprobs": 5, "logit_bias": [String(biased): 100]],
      ] as [JSONValue] {
        let first = try #require(entries(try await subject.chat([user("the sea")], fields).json).first)
        let likeliest = try #require(first["top_logprobs"]?.array)
        #expect(likeliest.count == 5)
        for (entry, token) in zip(likeliest, order) {
          #expect(
            entry["bytes"]?.array?.compactMap(\.integer) == subject.loaded.tokenizer.piece(Int32(token)).map(Int.init))
          #expect(abs((entry["logprob"]?.double ?? 0) - expected[token]) < 1e-3)
        }
        if fields["logit_bias"] != nil {
          #expect(first["token"] == "x")
          #expect(abs((first["logprob"]?.double ?? 0) - expected[Int(biased)]) < 1e-3)
        }
      }
    }
  }

  @Test func theirBytesJoinToTheText() async throws {
    try await ServerSubject.run { subject in
      for seed in 1...8 {
        let fields: JSONValue = ["logprobs": true, "max_tokens": 40, "temperature": 1, "seed": JSONValue(seed)]
        let whole = try await subject.chat([user("dice")], fields).json
        let content = try #require(whole.content)
        let found = entries(whole)
        #expect(String(decoding: bytes(found), as: UTF8.self) == content)
        #expect(found.allSatisfy { $0["top_logprobs"] == [] && ($0["logprob"]?.double ?? 1) <= 0 })
        var streaming = fields.members
        streaming["stream"] = true
        let stream = try await subject.chat([user("dice")], .object(streaming))
        let chunks = try stream.events.dropLast().map { try JSONValue(parsing: $0) }
        // The prompt was not read again, so logits may differ by rounding.
        let streamed = chunks.flatMap { entries($0) }
        #expect(streamed.map { $0["bytes"] } == found.map { $0["bytes"] })
        for (a, b) in zip(streamed, found) {
          #expect(abs((a["logprob"]?.double ?? 0) - (b["logprob"]?.double ?? 1)) < 1e-3)
        }
        // Cut by a stop string, those behind it are not told.
        var stopping = fields.members
        stopping["stop"] = .string(String(content.dropFirst(content.count / 2).prefix(2)))
        let cut = try await subject.chat([user("dice")], .object(stopping)).json
        let text = try #require(cut.content)
        #expect(content.hasPrefix(text) || text.contains("\u{FFFD}"))
        #expect(bytes(entries(cut)).count <= text.utf8.count + 3)
      }
    }
  }

  @Test func completionsHaveTheirOwnShape() async throws {
    try await ServerSubject.run { subject in
      let fields: JSONValue = ["prompt": "the sea", "max_tokens": 12, "temperature": 0, "logprobs": 2]
      let json = try await subject.client.post("/v1/completions", fields).json
      let choice = try #require(json["choices"]?.array?.first)
      let found = try #require(choice["logprobs"])
      let tokens = try #require(found["tokens"]?.array).compactMap(\.string)
      #expect(tokens.count == 12)
      #expect(found["token_logprobs"]?.array?.count == 12 && found["text_offset"]?.array?.count == 12)
      #expect(found["top_logprobs"]?.array?.allSatisfy { (1...2).contains($0.object?.count ?? 0) } == true)
      if !tokens.contains(where: { $0.hasPrefix("bytes:") }) {
        #expect(tokens.joined() == choice["text"]?.string)
        let lengths = tokens.map(\.unicodeScalars.count)
        let offsets = lengths.indices.map { lengths[..<$0].reduce(0, +) }
        #expect(found["text_offset"]?.array?.compactMap(\.integer) == offsets)
      }
      var streaming = fields.members
      streaming["stream"] = true
      let stream = try await subject.client.post("/v1/completions", .object(streaming))
      let pieces = try stream.events.dropLast().map { try JSONValue(parsing: $0) }
        .compactMap { $0["choices"]?.array?.first?["logprobs"] }
      for name in ["tokens", "text_offset"] {
        #expect(pieces.flatMap { $0[name]?.array ?? [] } == found[name]?.array)
      }
    }
  }

  @Test func nothingIsSaidUnasked() async throws {
    try await ServerSubject.run { subject in
      let json = try await subject.chat([user("the sea")]).json
      #expect(json["choices"]?.array?.first?["logprobs"] == .null)
    }
  }

  /// Thoughts and calls are no content.
  @Test func onlyTheAnswersTokensAreTold() async throws {
    let loaded = try withTemporaryDirectory { folder in
      try LanguageModel.Loaded(path: TinyModel().write(in: folder), options: LanguageModel.Options(threads: 1))
    }
    let tokenizer = loaded.tokenizer
    var reader = AnswerReader(.tags(open: "<think>", close: "</think>"))
    var probabilities = TokenProbabilities(count: 0, tokenizer: tokenizer, showing: .none)
    var decoder = IncrementalDecoder(tokenizer)
    var logits = [Float](repeating: 0, count: loaded.engine.vocabularySize)
    var (text, told, received) = ("", [UInt8](), 0)
    for token in tokenizer.encode("<think>the thing</think>\n\nthe theé other") {
      logits.withUnsafeMutableBufferPointer { probabilities.note($0) }
      let piece = decoder.append(token)
      let parts = reader.append(piece)
      received += piece.utf8.count
      probabilities.note(chosen: token)
      let found = probabilities.take(parts, end: received - reader.heldBytes, isLast: false)
      told += found.flatMap { tokenizer.piece($0.chosen.token) }
      text += parts.answerText
      #expect(found.allSatisfy { abs($0.chosen.logarithm + log(Float(logits.count))) < 1e-4 })
    }
    #expect(text == "the theé other" && String(decoding: told, as: UTF8.self) == text)
  }
}
