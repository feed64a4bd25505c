import ModelJSON
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// Marks that are control tokens reach the reader, and no other control token shows.
@Suite struct ShownControlsTests {
  private static let tokenizer = {
    let bytes = TinyModel.tokens.dropFirst(3).prefix(256)
    let controls = ["<|end|>", "[TOOL_CALLS]", "[ARGS]", "[THINK]", "[/THINK]", "[INST]"]
    var description = TokenizerDescription(
      model: "gpt2", preTokenizer: "smollm", tokens: controls + bytes)
    description.kinds = controls.map { _ in 3 } + bytes.map { _ in 1 }
    description.endOfSequence = 0
    return Result { try Tokenizer(description) }
  }()

  @Test func `a call in control tokens is read`() throws {
    let tokenizer = try Self.tokenizer.get()
    let format = try #require(ToolCallFormat.all.first { $0.name == "mistral" })
    let tools = ToolSignatures([["type": "function", "function": ["name": "now"]]])
    var reader = AnswerReader(
      .tags(open: "[THINK]", close: "[/THINK]"), calls: ToolCallReader(format, tools: tools))
    let controls = reader.shownControls(of: tokenizer)
    #expect(controls == .only([1, 2, 3, 4]))
    var decoder = IncrementalDecoder(tokenizer, skipsSpecial: controls != .all, showing: controls.tokens)
    let ids = tokenizer.encode("[THINK]hm[/THINK]Well[INST].[TOOL_CALLS]now[ARGS]{}", special: .parse)
    #expect(ids.contains(5))
    let parts = ids.flatMap { reader.append(decoder.append($0)) } + reader.finish()
    let thought = parts.reduce(into: "") { if case .thinking(let text) = $1 { $0 += text } }
    #expect(thought == "hm" && parts.answerText == "Well." && parts.last == .call(ToolCall("now", "{}")))
  }

  @Test func `a harmony reader sees all, and one without marks none`() throws {
    let tokenizer = try Self.tokenizer.get()
    #expect(AnswerReader(.channels).shownControls(of: tokenizer) == .all)
    #expect(AnswerReader(.tags(open: "<think>", close: "</think>")).shownControls(of: tokenizer) == .none)
  }
}
