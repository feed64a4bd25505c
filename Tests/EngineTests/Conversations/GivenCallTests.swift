import Kernels
import ModelJSON
import TestSupport
import Testing

@testable import Engine

/// Calls that are given out while they are written, beside the same texts read whole.
@Suite struct GivenCallTests {
  private typealias Case = ToolCallReaderTests.Case

  /// The formats whose arguments are JSON, in which a call says first whom it calls.
  private static let given: Set<String> = [
    "tagged", "functions", "mistral", "deepseek", "actions", "action-list", "phi", "functools", "recipients", "bare",
    "channels",
  ]

  private static func reader(_ test: Case, handsOver: Bool = true, limit: Int = .max) throws -> AnswerReader {
    let format = try #require(ToolCallFormat.all.first { $0.name == test.format })
    let kind: AnswerFormat = test.format == "channels" ? .channels : .tags(open: "<think>", close: "</think>")
    let calls = ToolCallReader(format, tools: ToolCallReaderTests.tools, limit: limit, handsOver: handsOver)
    return AnswerReader(kind, opensThought: test.opensThought, calls: calls)
  }

  private static func read(_ test: Case, cuttingAt cuts: [Int], limit: Int = .max) throws -> [AnswerReader.Part] {
    var reader = try reader(test, limit: limit)
    let text = Array(test.text)
    var parts: [AnswerReader.Part] = []
    for (start, end) in zip([0] + cuts, cuts + [text.count]) { parts += reader.append(String(text[start..<end])) }
    return parts + reader.finish()
  }

  /// What a client makes of parts: calls, and whether each is whole.
  private struct Received: Equatable {
    var calls: [ToolCall] = []
    var isWhole: [Bool] = []
    var answer = ""
    var thought = ""
    var isOpen = false

    init(_ parts: [AnswerReader.Part]) {
      for part in parts {
        switch part {
        case .answer(let text): answer += text
        case .thinking(let text): thought += text
        case .call(let call):
          calls.append(call)
          isWhole.append(true)
        case .beginsCall(let name):
          #expect(!isOpen)
          calls.append(ToolCall(name, ""))
          isOpen = true
        case .arguments(let text):
          #expect(isOpen)
          calls[calls.count - 1].arguments += text
        case .endsCall(let whole):
          #expect(isOpen)
          isWhole.append(whole)
          isOpen = false
        }
        // Nothing but the arguments comes between a call's beginning and its end.
        if isOpen {
          switch part {
          case .beginsCall, .arguments: break
          default: Issue.record("\(part) inside of a call")
          }
        }
      }
    }
  }

  @Test(arguments: ToolCallReaderTests.whole)
  func `what was given out in pieces is the call that is read whole, wherever the text is cut`(
    test: ToolCallReaderTests.Case
  ) throws {
    let count = test.text.count
    for cuts in [[], Array(1..<count)] + (1..<count).map({ [$0] }) {
      let received = Received(try Self.read(test, cuttingAt: cuts))
      #expect(received.calls == test.calls, "\(test.testDescription), \(cuts)")
      #expect(received.isWhole.allSatisfy { $0 } && !received.isOpen, "\(test.testDescription), \(cuts)")
      #expect(received.answer == test.answer && received.thought == test.thought, "\(test.testDescription), \(cuts)")
    }
  }

  /// Cutting the text short anywhere leaves nothing wrong behind: what was given out by then is the beginning of the call.
  @Test(arguments: ToolCallReaderTests.whole)
  func `a text that ends anywhere has given out the beginning of what it would have been`(
    test: ToolCallReaderTests.Case
  ) throws {
    let text = Array(test.text)
    for end in 0..<text.count {
      var short = test
      short = ToolCallReaderTests.Case(test.format, String(text[..<end]), opensThought: test.opensThought)
      let received = Received(try Self.read(short, cuttingAt: Array(1..<max(1, end))))
      #expect(received.calls.count <= test.calls.count)
      for ((call, isWhole), expected) in zip(zip(received.calls, received.isWhole), test.calls) {
        #expect(call.name == expected.name, "\(test.testDescription), \(end)")
        // Harmony writes a call without arguments as an empty channel.
        let isEmpty = test.format == "channels" && call.arguments == "{}"
        let isBeginning = expected.arguments.hasPrefix(call.arguments)
        #expect(isWhole ? call == expected || isEmpty : isBeginning, "\(short.testDescription)")
        // One that has broken off cannot be taken for a call.
        #expect(isWhole || (try? JSONValue(parsing: call.arguments)) == nil, "\(short.testDescription)")
      }
    }
  }

  @Test func `arguments are given out byte by byte, where the format has them as JSON`() throws {
    var found: Set<String> = []
    for test in ToolCallReaderTests.whole {
      var reader = try Self.reader(test)
      var parts: [AnswerReader.Part] = []
      for character in test.text { parts += reader.append(String(character)) }
      parts += reader.finish()
      let pieces = parts.count { if case .arguments = $0 { true } else { false } }
      guard pieces > 0 else { continue }
      found.insert(test.format)
      let given = Received(parts).calls.filter { call in
        parts.contains { if case .call(let whole) = $0 { whole == call } else { false } } == false
      }
      #expect(pieces == given.reduce(0) { $0 + $1.arguments.count }, "\(test.testDescription)")
    }
    #expect(found == Self.given)
  }

  @Test(arguments: ToolCallReaderTests.broken)
  func `what is no call gives out none, or one that is known to have broken off`(
    test: ToolCallReaderTests.Case
  ) throws {
    let count = test.text.count
    let whole = Received(try Self.read(test, cuttingAt: []))
    for cuts in [Array(1..<max(1, count))] + (1..<max(1, count)).map({ [$0] }) {
      #expect(Received(try Self.read(test, cuttingAt: cuts)) == whole, "\(test.testDescription), \(cuts)")
    }
    #expect(whole.calls.isEmpty ? whole.answer == test.answer : whole.isWhole == [false], "\(test.testDescription)")
    for call in whole.calls { #expect((try? JSONValue(parsing: call.arguments)) == nil) }
  }

  @Test func `some calls that break off are among the cases`() throws {
    let broken = try ToolCallReaderTests.broken.filter { !Received(try Self.read($0, cuttingAt: [])).calls.isEmpty }
    #expect(Set(broken.map(\.format)).isSuperset(of: ["tagged", "deepseek", "channels"]))
  }

  @Test(arguments: ToolCallReaderTests.whole.filter { $0.calls.count > 1 })
  func `where one call is wanted, the first is all there is, to its end`(test: ToolCallReaderTests.Case) throws {
    for cuts in [[], Array(1..<test.text.count)] {
      #expect(Received(try Self.read(test, cuttingAt: cuts, limit: 1)).calls == [test.calls[0]])
    }
    var reader = try Self.reader(test, limit: 1)
    var received: [AnswerReader.Part] = []
    for character in test.text {
      received += reader.append(String(character))
      // An answer ends where its reader is finished.
      if reader.isFinished { break }
    }
    #expect(Received(received).calls == [test.calls[0]] && reader.isFinished)
  }

  @Test(arguments: ToolCallFormat.all.indices)
  func `random scraps are given out alike however they are cut`(index: Int) throws {
    let format = ToolCallFormat.all[index]
    let scraps =
      Array(Set(ToolCallFormat.all.flatMap { $0.tokens + $0.syntax.marks })).sorted() + [
        "{", "}", "[", "]", "\"", ":", ",", ";", "\n", " ", "weather", "\"name\": \"now\"", "\"arguments\": {",
        "{\"name\": \"now\", \"arguments\": {", "\"a\": 1", "{\"name\": \"now\"}", "<function=now>", "</function>",
        "```json", "```", "true", "-1.5", "é", "\\", "now\n{", "to=functions.now", "<|channel|>", "<|message|>",
        "<|end|>", "final", "</think>", "<think>",
      ]
    var random = SplitMix64(seed: UInt64(index + 100))
    for _ in 0..<400 {
      let count = 1 + Int(random.next() % 14)
      let mark = format.syntax.marks.first ?? ""
      let text = mark + (0..<count).map { _ in scraps[Int(random.next() % UInt64(scraps.count))] }.joined()
      let test = Case(format.name, text)
      let whole = Received(try Self.read(test, cuttingAt: []))
      let characters = Array(text).count
      #expect(Received(try Self.read(test, cuttingAt: Array(1..<characters))) == whole, "\(text)")
      let cut = Int(random.next() % UInt64(characters))
      #expect(Received(try Self.read(test, cuttingAt: [cut])) == whole, "\(text), cut at \(cut)")
    }
  }

  @Test func `arguments end where the reader of whole calls ends them, however they come`() {
    let scraps = ["{", "}", "[", "]", "\"", ":", ",", " ", "\\", "a", "true", "null", "tru", "-1.5e3", "\n", "\"k\":"]
    var random = SplitMix64(seed: 5)
    var seen = (ended: 0, open: 0, broken: 0)
    for _ in 0..<20_000 {
      let count = Int(random.next() % 12)
      let text = "{" + (0..<count).map { _ in scraps[Int(random.next() % UInt64(scraps.count))] }.joined()
      let bytes = Array(text.utf8)
      var scanner = CallScanner(bytes[...], isLast: false)
      let expected: ArgumentsScanner.State
      do throws(CallScanner.Stop) {
        try scanner.skipValue(depth: 0)
        expected = .ended
        seen.ended += 1
      } catch {
        expected = error == .more ? .open : .broken
        if error == .more { seen.open += 1 } else { seen.broken += 1 }
      }
      var arguments = ArgumentsScanner()
      let taken = arguments.take(bytes[...])
      #expect(arguments.state == expected, "\(text)")
      if expected == .ended { #expect(taken == scanner.position, "\(text)") }
      var single = ArgumentsScanner()
      #expect(bytes.reduce(0) { $0 + single.take([$1]) } == taken && single.state == arguments.state)
    }
    #expect(seen.ended > 100 && seen.open > 100 && seen.broken > 100)
  }
}
