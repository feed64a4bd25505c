import Constraints
import Engine
import ModelJSON
import TestSupport
import Testing
import Tokenizers

/// What may stand before a document: thoughts, where the prompt or the template speaks of them.
@Suite struct AnswerLeadTests {
  private static let tags = AnswerFormat.tags(open: "<think>", close: "</think>")

  private func accepts(_ lead: AnswerLead, _ texts: [String]) throws -> [Bool] {
    let tokenizer = try loadTiny().tokenizer
    let constraint = try AnswerConstraint(documentOf: ["type": "integer"]).constraint(behind: lead)
    let table = ConstraintTable(constraint, TokenTrie(tokenizer))
    return texts.map { text in
      var matcher = ConstraintMatcher(table)
      return matcher.accept(Array(text.utf8)) && matcher.canEnd
    }
  }

  @Test func `without thoughts the document comes at once`() throws {
    let tokenizer = try loadTiny().tokenizer
    for end in ["<|im_start|>assistant\n", "<think>\n\n</think>\n\n"] {
      let lead = AnswerLead(Self.tags, promptEnd: end, speaksOfThoughts: end.contains("think"), tokenizer)
      #expect(lead == .none)
    }
    #expect(
      try accepts(.none, ["1", " 1", "\n1", "x</think>1", "<think>x</think>1"]) == [true, true, true, false, false])
  }

  @Test func `a thought that the prompt has opened is closed first`() throws {
    let tokenizer = try loadTiny().tokenizer
    let lead = AnswerLead(Self.tags, promptEnd: "assistant\n<think>\n", speaksOfThoughts: true, tokenizer)
    #expect(
      try accepts(
        lead, ["x</think>1", "x</think>\n\n12", "`</think>` is it\n</think>1", "1", "</think>", "x</think>y"])
        == [true, true, true, false, false, false])
  }

  @Test func `a model whose template speaks of thoughts may think`() throws {
    let tokenizer = try loadTiny().tokenizer
    let lead = AnswerLead(Self.tags, promptEnd: "assistant\n", speaksOfThoughts: true, tokenizer)
    #expect(
      try accepts(lead, ["1", "<think>x</think>1", "<think>\nx\n</think>\n\n1", "x</think>1", "<think>1"])
        == [true, true, true, false, false])
  }
}
