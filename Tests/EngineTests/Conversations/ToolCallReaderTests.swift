import ChatTemplates
import Foundation
import Kernels
import ModelJSON
import TestSupport
import Testing

@testable import Engine

/// Calls of tools in the formats of families, from answers as their models write them.
@Suite struct ToolCallReaderTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let format: String
    let text: String
    var calls: [ToolCall] = []
    var answer = ""
    var thought = ""
    var opensThought = false

    init(
      _ format: String, _ text: String, _ calls: [ToolCall] = [], answer: String = "", thought: String = "",
      opensThought: Bool = false
    ) {
      (self.format, self.text, self.calls, self.answer) = (format, text, calls, answer)
      (self.thought, self.opensThought) = (thought, opensThought)
    }

    var testDescription: String { "\(format): \(text)" }
  }

  static let tools = ToolSignatures([
    [
      "type": "function",
      "function": [
        "name": "weather",
        "parameters": [
          "type": "object",
          "properties": [
            "city": ["type": "string"], "days": ["type": "integer"], "zip": ["type": ["string", "null"]],
            "unit": ["enum": ["C", "F"]],
          ],
        ],
      ],
    ],
    ["type": "function", "function": ["name": "now"]],
  ])

  /// Köln for two days, in each spelling, and a second call without arguments.
  private static let weather = ToolCall("weather", #"{"city": "Köln", "days": 2}"#)
  private static let now = ToolCall("now", "{}")

  static let whole: [Case] = [
    Case(
      "tagged", "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\", \"days\": 2}}\n</tool_call>",
      [weather]),
    Case(
      "tagged",
      "Let me see.\n<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\", \"days\": 2}}</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n",
      [weather, now], answer: "Let me see."),
    Case(
      "tagged", "<think>\nWhat is it?\n</think>\n\n<tool_call>\n{\"name\": \"now\"}\n</tool_call>", [now],
      thought: "\nWhat is it?\n"),
    Case(
      "tagged",
      "a </think>\n\n<tool_call>{\"arguments\": {\"city\": \"Köln\", \"days\": 2}, \"name\": \"weather\"}</tool_call>",
      [weather], thought: "a ", opensThought: true),
    Case(
      "tagged",
      "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"</tool_call> \\\" }{ \\u00e9\"}}</tool_call> after",
      [ToolCall("f", "{\"a\": \"</tool_call> \\\" }{ \\u00e9\"}")], answer: "after"),
    Case(
      "tagged",
      "<tool_call>{\"name\": \"weather\", \"arguments\": \"{\\\"city\\\": \\\"Köln\\\", \\\"days\\\": 2}\"}</tool_call>",
      [weather]),
    Case(
      "tagged", "<tool_call>[{\"name\": \"now\"}, {\"name\": \"now\", \"parameters\": null}]</tool_call>", [now, now]),
    Case(
      "tagged", "<tool_call>{\"type\": \"function\", \"function\": {\"name\": \"now\", \"arguments\": {}}}</tool_call>",
      [now]),
    Case("tagged", "<tool_call>{\"name\": \"now\", \"arguments\": {}}", [now]),
    Case(
      "tagged",
      "<tool_call>{\"name\": \"f\", \"arguments\": {\"n\": 12345678901234567890.50, \"x\": 1e40}}</tool_call>",
      [ToolCall("f", "{\"n\": 12345678901234567890.50, \"x\": 1e40}")]),
    Case(
      "functions",
      "<tool_call>\n<function=weather>\n<parameter=city>\nKöln\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
      [weather]),
    Case(
      "functions",
      "Well.\n\n<tool_call>\n<function=now>\n</function>\n</tool_call>\n<tool_call>\n<function=weather>\n<parameter=city>\nKöln\n</parameter>\n<parameter=days>\n2\n</parameter>\n</function>\n</tool_call>",
      [now, weather], answer: "Well."),
    Case(
      "functions", "x</think>\n\n<tool_call>\n<function=now>\n</function>\n</tool_call>", [now], thought: "x",
      opensThought: true),
    Case(
      "functions",
      "<function=weather><parameter=city>12\n\n34</parameter><parameter=zip>null</parameter><parameter=unit>5</parameter><parameter=days>many</parameter><parameter=deep>{\"a\": [1]}</parameter><parameter=yes>True</parameter></function>",
      [
        ToolCall(
          "weather",
          #"{"city": "12\n\n34", "zip": "null", "unit": "5", "days": "many", "deep": {"a": [1]}, "yes": true}"#)
      ]),
    Case(
      "functions", "<function=weather>{\"city\": \"Köln\", \"days\": 2}</function><function=now>{}</function>",
      [weather, now]),
    Case("functions", "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", [now]),
    Case(
      "mistral",
      "[TOOL_CALLS][{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\", \"days\": 2}, \"id\": \"abcdef123\"}, {\"name\": \"now\", \"arguments\": {}, \"id\": \"abcdef124\"}]",
      [weather, now]),
    Case("mistral", "I look. [TOOL_CALLS] [{\"name\": \"now\", \"arguments\": {}}]", [now], answer: "I look."),
    Case(
      "mistral", "[TOOL_CALLS]weather[ARGS]{\"city\": \"Köln\", \"days\": 2}[TOOL_CALLS]now[ARGS]{}", [weather, now]),
    Case("mistral", "[TOOL_CALLS]now[CALL_ID]abcdef123[ARGS]{}", [now]),
    Case("mistral", "[TOOL_CALLS]weather{\"city\": \"Köln\", \"days\": 2}", [weather]),
    Case(
      "deepseek",
      "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n{\"city\": \"Köln\", \"days\": 2}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      [weather, now]),
    Case(
      "deepseek",
      "Ok<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{\"city\": \"Köln\", \"days\": 2}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
      [weather], answer: "Ok"),
    Case(
      "deepseek", "x</think>\n<｜tool▁call▁begin｜>now<｜tool▁sep｜>{}<｜tool▁call▁end｜>", [now], thought: "x",
      opensThought: true),
    Case("python", "<|tool_call_start|>[weather(city=\"Köln\", days=2), now()]<|tool_call_end|>", [weather, now]),
    Case(
      "python", "<|tool_call_start|>[weather(city='K\\u00f6ln', days=2)]<|tool_call_end|>Looking.", [weather],
      answer: "Looking."),
    Case(
      "python",
      "<|tool_call_start|>[f(a=[1, -2.5, 'x\\n\\'y'], b={\"k\": (True, None)}, c=False, d=1e3)]<|tool_call_end|>",
      [ToolCall("f", #"{"a": [1, -2.5, "x\n'y"], "b": {"k": [true, null]}, "c": false, "d": 1000.0}"#)]),
    Case(
      "gemma", "<|tool_call>call:weather{city:<|\"|>Köln<|\"|>,days:2}<tool_call|><|tool_call>call:now{}<tool_call|>",
      [weather, now]),
    Case(
      "gemma", "<|tool_call>call:f{a:[1,true,null,{<|\"|>k<|\"|>:<|\"|>a}b,<|\"|>}]}<tool_call|>",
      [ToolCall("f", #"{"a": [1, true, null, {"k": "a}b,"}]}"#)]),
    Case(
      "actions",
      "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"weather\", \"parameters\": {\"city\": \"Köln\", \"days\": 2}},\n    {\"tool_call_id\": \"1\", \"tool_name\": \"now\", \"parameters\": {}}\n]<|END_ACTION|>",
      [weather, now]),
    Case(
      "action-list",
      "Plan: I look.\nAction:\n```json\n[\n    {\n        \"tool_name\": \"now\",\n        \"parameters\": {}\n    }\n]```",
      [now], answer: "Plan: I look."),
    Case(
      "phi",
      "<|tool_call|>[{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\", \"days\": 2}}, {\"name\": \"now\"}]<|/tool_call|>",
      [weather, now]),
    Case(
      "functools",
      " functools[{\"name\": \"weather\", \"arguments\": {\"city\": \"Köln\", \"days\": 2}}, {\"name\": \"now\", \"arguments\": {}}]",
      [weather, now]),
    Case(
      "recipients", ">>>all\nLet me see.>>>weather\n{\"city\": \"Köln\", \"days\": 2}>>>now\n{}", [weather, now],
      answer: "Let me see."),
    Case("bare", "{\"name\": \"weather\", \"parameters\": {\"city\": \"Köln\", \"days\": 2}}", [weather]),
    Case(
      "bare",
      "\n{\"type\": \"function\", \"name\": \"now\", \"parameters\": {}}; {\"name\": \"weather\", \"parameters\": {\"city\": \"Köln\", \"days\": 2}}\n",
      [now, weather]),
    Case("bare", "<|python_tag|>{\"name\": \"now\", \"parameters\": {}}", [now]),
    Case("bare", "<|python_tag|>weather.call(city=\"Köln\", days=2)", [weather]),
    Case("bare", "[weather(city=\"Köln\", days=2), now()]", [weather, now]),
    Case("bare", "[{\"name\": \"now\", \"parameters\": {}}]", [now]),
    Case(
      "channels",
      "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{\"city\": \"Köln\", \"days\": 2}<|call|>",
      [weather], thought: "hm"),
    Case(
      "channels",
      " to=functions.now<|channel|>commentary json<|message|>{}<|call|><|start|>assistant to=functions.weather<|channel|>commentary<|message|>{\"city\": \"Köln\", \"days\": 2}",
      [now, weather]),
  ]

  /// What begins like a call and is none: an answer, to the letter.
  static let broken: [Case] =
    [
      "<tool_call>{'name': 'now'}</tool_call>", "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": }}</tool_call>",
      "<tool_call>{\"name\": \"now\", \"arguments\": [1]}</tool_call>", "<tool_call>{\"arguments\": {}}</tool_call>",
      "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": \"never ends", "<tool_call>", "  <tool_ca",
      "`<tool_call>` is a tag",
      "<tool_call>now()</tool_call>", "a < b <tool_call", "<tool_call>{\"name\": 5}</tool_call>",
      "<tool_call>[]</tool_call>",
      "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"raw\nline\"}}</tool_call>", "words only\n", "",
    ].map { Case("tagged", $0, answer: $0) }
    + [
      "<tool_call>\n<function=now>\n<parameter=a>\n1\n", "<function=>x</function>", "<tool_call>\n<function=now>\ntext",
      "<function=now", "<tool_call></tool_call>",
    ].map { Case("functions", $0, answer: $0) }
    + ["[TOOL_CALLS]", "[TOOL_CALLS][{\"name\": \"now\"", "[TOOL_CALLS]now[ARGS]{oops}", "[TOOL"].map {
      Case("mistral", $0, answer: $0)
    }
    + [
      "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>now\n```json\n{]```",
    ].map { Case("deepseek", $0, answer: $0) }
    + ["<|tool_call_start|>[now(1)]<|tool_call_end|>", "<|tool_call_start|>[now(a=b)]", "<|tool_call_start|>now"].map {
      Case("python", $0, answer: $0)
    }
    + ["<|tool_call>call:now{a:<|\"|>x", "<|tool_call>now{}", "<|tool_call>call:now{a:oops}"].map {
      Case("gemma", $0, answer: $0)
    }
    + ["<|START_ACTION|>[{\"tool_name\"", "<|START_ACTION|>5<|END_ACTION|>"].map { Case("actions", $0, answer: $0) }
    + ["Action: none is needed", "Action:\n```python\nx```"].map { Case("action-list", $0, answer: $0) }
    + ["functools are useful", "functools[1]"].map { Case("functools", $0, answer: $0) }
    + [
      "{\"name\": \"Anna\", \"age\": 5}", "{\"city\": \"Köln\"}", "[1, 2]", "[unknown(a=1)]", "{\"name\": \"now\"",
      "<|python_tag|>import os", "{}", "text {\"name\": \"now\", \"parameters\": {}}",
    ].map { Case("bare", $0, answer: $0) }
    + [
      Case("channels", "<|channel|>commentary to=functions.now json<|message|>{oops<|call|>", answer: "{oops"),
      Case("channels", "<|channel|>final<|message|>to=functions.now", answer: "to=functions.now"),
    ]

  private static func read(_ test: Case, cuttingAt cuts: [Int], limit: Int = .max) throws -> [AnswerReader.Part] {
    let format = try #require(ToolCallFormat.all.first { $0.name == test.format })
    let kind: AnswerFormat = test.format == "channels" ? .channels : .tags(open: "<think>", close: "</think>")
    var reader = AnswerReader(
      kind, opensThought: test.opensThought, calls: ToolCallReader(format, tools: tools, limit: limit))
    let text = Array(test.text)
    var parts: [AnswerReader.Part] = []
    for (start, end) in zip([0] + cuts, cuts + [text.count]) { parts += reader.append(String(text[start..<end])) }
    return parts + reader.finish()
  }

  private static func check(_ test: Case, _ parts: [AnswerReader.Part], _ how: String) {
    let calls = parts.compactMap { if case .call(let call) = $0 { call } else { nil } }
    let thought = parts.reduce(into: "") { if case .thinking(let text) = $1 { $0 += text } }
    #expect(calls == test.calls, "\(test.testDescription), \(how)")
    #expect(parts.answerText == test.answer, "\(test.testDescription), \(how)")
    #expect(thought == test.thought, "\(test.testDescription), \(how)")
  }

  @Test(arguments: whole + broken)
  func `calls are told apart, whole, in characters, and cut in two anywhere`(test: Case) throws {
    Self.check(test, try Self.read(test, cuttingAt: []), "whole")
    let count = test.text.count
    Self.check(test, try Self.read(test, cuttingAt: Array(1..<max(1, count))), "in characters")
    for cut in 1..<max(1, count) { Self.check(test, try Self.read(test, cuttingAt: [cut]), "cut at \(cut)") }
  }

  @Test func `every format has a case of a call, of several, and of a broken one`() {
    for format in ToolCallFormat.all {
      let cases = Self.whole.filter { $0.format == format.name }
      #expect(cases.contains { !$0.calls.isEmpty }, "\(format.name)")
      if format.name != "action-list" { #expect(cases.contains { $0.calls.count > 1 }, "\(format.name)") }
      if format.name != "phi", format.name != "recipients" {
        #expect(Self.broken.contains { $0.format == format.name }, "\(format.name)")
      }
    }
  }

  @Test(arguments: whole.filter { $0.calls.count > 1 })
  func `where one call is wanted, the first is all there is`(test: Case) throws {
    let parts = try Self.read(test, cuttingAt: [], limit: 1)
    let calls = parts.compactMap { if case .call(let call) = $0 { call } else { nil } }
    #expect(calls == [test.calls[0]])
  }

  /// Pieces of which hostile answers are made.
  private static let scraps =
    Array(Set(ToolCallFormat.all.flatMap { $0.tokens + $0.syntax.marks })).sorted() + [
      "{", "}", "[", "]", "(", ")", "\"", "'", ":", ",", ";", "\n", " ", "=", "<", ">", "weather", "now", "name",
      "\"name\": \"now\"", "\"arguments\": {}", "{\"name\": \"now\"}", "call:", "<function=now>", "</function>",
      "<parameter=a>", "</parameter>", "```json", "```", "true", "1", "é", "\\", "\\u00e9", "now()", "a=1", "all",
      "<|channel|>", "<|message|>", "<|end|>", "final", "to=functions.now", "</think>", "<think>",
    ]

  @Test(arguments: ToolCallFormat.all.indices)
  func `random scraps are read alike however they are cut`(index: Int) throws {
    let format = ToolCallFormat.all[index]
    var random = SplitMix64(seed: UInt64(index + 1))
    for _ in 0..<400 {
      let count = 1 + Int(random.next() % 14)
      let text = (0..<count).map { _ in Self.scraps[Int(random.next() % UInt64(Self.scraps.count))] }.joined()
      let test = Case(format.name, text)
      let whole = Self.joined(try Self.read(test, cuttingAt: []))
      let characters = Array(text).count
      #expect(Self.joined(try Self.read(test, cuttingAt: Array(1..<max(1, characters)))) == whole, "\(text)")
      let cut = Int(random.next() % UInt64(max(1, characters)))
      #expect(Self.joined(try Self.read(test, cuttingAt: [cut])) == whole, "\(text), cut at \(cut)")
    }
  }

  /// Parts without the places where text was cut.
  private static func joined(_ parts: [AnswerReader.Part]) -> [AnswerReader.Part] {
    parts.reduce(into: []) { joined, part in
      switch (joined.last, part) {
      case (.answer(let before)?, .answer(let text)): joined[joined.count - 1] = .answer(before + text)
      case (.thinking(let before)?, .thinking(let text)): joined[joined.count - 1] = .thinking(before + text)
      default: joined.append(part)
      }
    }
  }

  @Test func `text is held back no longer than it may be a call`() throws {
    let format = try #require(ToolCallFormat.all.first { $0.name == "tagged" })
    var reader = ToolCallReader(format, tools: Self.tools)
    #expect(reader.append("a") == [.answer("a")])
    #expect(reader.append("\n<to") == [])
    #expect(reader.append("p>") == [.answer("\n<top>")])
    #expect(reader.append("<tool_call>{") == [])
    #expect(reader.append("5") == [.answer("<tool_call>{5")])
    #expect(reader.append("<tool_call>{\"name\": \"now\"}") == [])
    #expect(reader.append("</tool_call>") == [.call(ToolCall("now", "{}"))])
    #expect(reader.append("\n") == [] && reader.append("b ") == [.answer("b")] && reader.finish() == [.answer(" ")])
  }

  @Test func `a mark that the prompt ends with is not asked of the answer`() throws {
    let format = try #require(ToolCallFormat.all.first { $0.name == "recipients" })
    var reader = ToolCallReader(format, tools: Self.tools)
    reader.begin(after: "assistant\n\n>>>")
    #expect(reader.append("now\n{}") + reader.finish() == [.call(ToolCall("now", "{}"))])
  }
}
