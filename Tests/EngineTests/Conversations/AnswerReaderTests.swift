import ChatTemplates
import Testing

@testable import Engine

@Suite("Thoughts in answers") struct AnswerReaderTests {
  private static let think = AnswerFormat.tags(open: "<think>", close: "</think>")

  struct Case: Sendable {
    var format = AnswerReaderTests.think
    var opensThought = false
    var text: String
    var thought = ""
    var answer = ""
  }

  static let cases: [Case] = [
    Case(text: "hello", answer: "hello"),
    Case(text: "  hello\n", answer: "  hello\n"),
    Case(text: "<think>a</think>b", thought: "a", answer: "b"),
    Case(text: "\n<think>\na\n</think>\n\nb\n", thought: "\na\n", answer: "b\n"),
    Case(opensThought: true, text: "a</think>b", thought: "a", answer: "b"),
    Case(opensThought: true, text: "never ends", thought: "never ends"),
    Case(text: "<think></think>b", answer: "b"),
    Case(text: "<thin", answer: "<thin"),
    Case(text: "<think>a</thin", thought: "a</thin"),
    Case(text: "b <think>a</think>", answer: "b <think>a</think>"),
    Case(text: "<think>the tag `</think>` ends it</think>b", thought: "the tag `</think>` ends it", answer: "b"),
    Case(text: "<think>one ` only\n</think>b", thought: "one ` only\n", answer: "b"),
    Case(text: "<think>a</think>b</think>c", thought: "a", answer: "b</think>c"),
    Case(format: .tags(open: "[THINK]", close: "[/THINK]"), text: "[THINK]a[/THINK]b", thought: "a", answer: "b"),
    Case(
      format: .tags(open: "<|channel>thought", close: "<channel|>"), text: "<|channel>thought\na<channel|>b",
      thought: "\na", answer: "b"),
    Case(
      format: .channels,
      text: "<|channel|>analysis<|message|>a < b<|end|><|start|>assistant<|channel|>final<|message|>c <d>",
      thought: "a < b", answer: "c <d>"),
    Case(format: .channels, text: "<|channel|>final<|message|>only", answer: "only"),
    Case(format: .channels, text: "<|channel|>analysis<|message|>cut of", thought: "cut of"),
    Case(format: .channels, text: "<|channel|>anal"),
  ]

  @Test("are told apart however the text is cut", arguments: cases.indices)
  func cuts(index: Int) {
    let test = Self.cases[index]
    let text = Array(test.text)
    for size in 1...max(1, text.count) {
      var reader = AnswerReader(test.format, opensThought: test.opensThought)
      var parts: [AnswerReader.Part] = []
      for start in stride(from: 0, to: text.count, by: size) {
        parts += reader.append(String(text[start..<min(start + size, text.count)]))
      }
      parts += reader.finish()
      let thought = parts.compactMap { if case .thinking(let text) = $0 { text } else { nil } }.joined()
      #expect(thought == test.thought && parts.answerText == test.answer, "\(test.text) in pieces of \(size)")
    }
  }

  @Test("an answer is never held back longer than it may still be a tag")
  func promptness() {
    var reader = AnswerReader(Self.think)
    #expect(reader.append("a") == [.answer("a")])
    #expect(reader.append("<") == [.answer("<")])
    reader = AnswerReader(Self.think)
    #expect(reader.append("<thi") == [])
    #expect(reader.append("s") == [.answer("<this")])
    reader = AnswerReader(Self.think, opensThought: true)
    #expect(reader.append("x<") == [.thinking("x")])
    #expect(reader.append("y") == [.thinking("<y")])
  }

  @Test("a template says how its model thinks")
  func formats() throws {
    for (source, format) in [
      ("{{ '<|start|>' }}<|channel|>analysis<|message|>", AnswerFormat.channels), ("no thoughts", Self.think),
      ("[THINK]", .tags(open: "[THINK]", close: "[/THINK]")), ("{{ x.split('</think>') }}", Self.think),
    ] { #expect(AnswerFormat(try ChatTemplate(source)) == format) }
  }
}
