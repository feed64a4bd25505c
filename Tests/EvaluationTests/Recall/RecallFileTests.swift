import Engine
import Evaluation
import Foundation
import TestSupport
import Testing
import Tokenizers

@Suite struct RecallFileTests {
  private let tokenizer: Tokenizer

  init() throws {
    tokenizer = try withTemporaryDirectory { folder in
      try LanguageModel.tokenizer(of: TinyModel().write(in: folder))
    }
  }

  private func parse(_ text: String, grid: RecallGrid? = nil) throws -> [RecallCase] {
    let cases = try RecallCases(parsing: Array(text.utf8), path: "cases.jsonl", tokenizer: tokenizer, grid: grid)
    return try (0..<cases.count).map { try cases($0) }
  }

  @Test func `each line is a case`() throws {
    let cases = try parse(
      """
      \u{FEFF}{"prompt": "The key is 12. The key is", "expected_number": 12}\r

      {"depth": 0.6, "expected_number": 48213.0, "num_lines": 20, "prompt": "<|im_end|> the"}
        \t
      {"prompt":"a","expected_number":0,"depth":null}
      """)
    #expect(cases.map(\.expected) == ["12", "48213", "0"])
    #expect(cases.map(\.prompt) == ["The key is 12. The key is", "<|im_end|> the", "a"].map { tokenizer.encode($0) })
    // Special tokens spelled out are text.
    #expect(!cases[1].prompt.contains(TinyModel.endOfMessage))
    #expect(cases.map(\.origin) == [1, 3, 5].map { "cases.jsonl, line \($0): the prompt" })
  }

  @Test func `cases with a depth count for the nearest cell`() throws {
    let grid = RecallGrid(lengths: [10, 30], places: .depths([0, 0.5, 1]))
    let prompt = String(repeating: "x", count: 24)
    let cases = try parse(
      """
      {"prompt": "xxxx", "expected_number": 1, "depth": 0.2}
      {"prompt": "\(prompt)", "expected_number": 1, "depth": 0.8}
      {"prompt": "\(prompt)", "expected_number": 1}
      """, grid: grid)
    #expect(cases.map(\.point) == [.init(length: 0, place: 0), .init(length: 1, place: 2), nil])
  }

  @Test(arguments: [
    ("", "there are no cases"), ("\n \n", "there are no cases"), ("{\"prompt\"", "line 1: not JSON: column 10"),
    ("\nhello", "line 2: not JSON: column 1: expected a value"),
    ("[1]", "line 1: a case must be an object, but is an array"),
    ("{}", "line 1: there is no \"prompt\""), ("{\"prompt\": \"a\"}", "line 1: there is no \"expected_number\""),
    ("{\"prompt\": 5, \"expected_number\": 1}", "line 1: \"prompt\" must be a string, but is an integer"),
    ("{\"prompt\": \"a\", \"expected_number\": \"5\"}", "whole number"),
    ("{\"prompt\": \"a\", \"expected_number\": -5}", "but is -5"),
    ("{\"prompt\": \"a\", \"expected_number\": 1.5}", "but is 1.5"),
    ("{\"prompt\": \"a\", \"expected_number\": null}", "but is null"),
    ("{\"prompt\": \"\", \"expected_number\": 5}", "line 1: the prompt is empty"),
    ("{\"prompt\": \"a\", \"expected_number\": 5, \"depth\": 1.1}", "\"depth\" must be from 0 to 1"),
    ("{\"prompt\": \"a\", \"expected_number\": 5} {}", "line 1: not JSON"),
    ("{\"prompt\": \"a\", \"expected_number\": 5}\n{\"prompt\": \"\u{1}\"}", "line 2: not JSON"),
  ])
  func `what is no case is one line that says where`(text: String, part: String) throws {
    let error = #expect(throws: RecallError.self) { try parse(text) }
    let description = error?.description ?? ""
    #expect(description.hasPrefix("cases.jsonl") && description.contains(part), "\(description)")
    #expect(!description.contains("\n"))
  }

  @Test(.enabled(if: Assets.available, "\(Assets.missing)"))
  func `the recorded lines are cases`() throws {
    let text = try String(contentsOfFile: Assets.path("recall/lines-completion.jsonl"), encoding: .utf8)
    let cases = try parse(text, grid: RecallGrid(lengths: [1], places: .depths([0, 1])))
    #expect(cases.count == 120 && cases[0].expected == "20718")
    #expect(cases.count { $0.point?.place == 0 } == 60)
  }
}
