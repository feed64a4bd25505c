import Engine
import Evaluation
import Foundation
import TestSupport
import Testing
import Tokenizers

@Suite struct RecallPromptsTests {
  private let tokenizer: Tokenizer

  init() throws {
    tokenizer = try withTemporaryDirectory { folder in
      try LanguageModel.tokenizer(of: TinyModel().write(in: folder))
    }
  }

  private static let tasks: [RecallTask] = [.passKey, .needle, .lines]

  private func cases(
    _ task: RecallTask, filler: FillerText = .builtIn, lengths: [Int], depths: [Double], perPoint: Int = 2,
    seed: UInt64 = 1
  ) throws -> [RecallCase] {
    let cases = try RecallCases(
      RecallPrompts(task, tokenizer: tokenizer, filler: filler), lengths: lengths, depths: depths,
      casesPerPoint: perPoint, seed: seed)
    return try (0..<cases.count).map { try cases($0) }
  }

  @Test(arguments: tasks) func `the same seed makes the same cases, and each is its own`(task: RecallTask) throws {
    let all = try cases(task, lengths: [700, 1500], depths: [0, 0.3, 1])
    #expect(all.count == 12)
    #expect(try cases(task, lengths: [700, 1500], depths: [0, 0.3, 1]) == all)
    #expect(Set(all.map(\.prompt)).count == all.count)
    #expect(Set(all.map(\.expected)).count == all.count)
    let other = try cases(task, lengths: [700, 1500], depths: [0, 0.3, 1], seed: 2)
    #expect(zip(all, other).allSatisfy { $0.prompt != $1.prompt })
    // A case does not depend on which others are made.
    let alone = try cases(task, lengths: [1500], depths: [0.3], perPoint: 1)
    #expect(alone.map(\.prompt) == [all[8].prompt] && alone[0].expected == all[8].expected)
    #expect(all[8].point == RecallGrid.Point(length: 1, place: 1))
  }

  /// Where the number first stands, as a share of the text before the question.
  private func depth(_ recallCase: RecallCase, _ task: RecallTask) throws -> Double {
    let text = tokenizer.decode(recallCase.prompt)
    let question = try #require(text.range(of: task == .lines ? "\n\nThe record ends" : "\n\n", options: .backwards))
    let before = text[..<question.lowerBound]
    let start = task == .lines ? try #require(before.range(of: "\n\n")).upperBound : before.startIndex
    let place = try #require(before[start...].range(of: recallCase.expected)).lowerBound
    return Double(before[start..<place].utf8.count) / Double(before[start...].utf8.count)
  }

  @Test(arguments: tasks) func `prompts have the length and the number its depth`(task: RecallTask) throws {
    // A line or a sentence of the tiny vocabulary, which has a token for nearly every byte.
    let longest = 130
    for length in [500, 1000, 4000] {
      for (index, wanted) in [0, 0.25, 0.5, 0.75, 1].enumerated() {
        for recallCase in try cases(task, lengths: [length], depths: [wanted]) {
          #expect(recallCase.prompt.count <= length && recallCase.prompt.count > length - longest, "\(length)")
          #expect(recallCase.point == RecallGrid.Point(length: 0, place: 0))
          let depth = try depth(recallCase, task)
          #expect(abs(depth - wanted) < Double(longest + 80) / Double(length), "\(length), \(index): \(depth)")
        }
      }
    }
  }

  @Test func `prompts end where the number has to come`() throws {
    let ends = [RecallTask.passKey: "The pass key is", .needle: " is", .lines: " is <"]
    for (task, end) in ends {
      let recallCase = try cases(task, lengths: [800], depths: [0.5])[0]
      let text = tokenizer.decode(recallCase.prompt)
      #expect(text.hasSuffix(end))
      // The question asks for what the text says: the words before its end stand there once more, with the number.
      let question = try #require(text.split(separator: "\n").last)
      let asked = question.split(separator: "?").last?.drop { $0 == " " } ?? question
      if task == .lines {
        let name = try #require(asked.split(separator: " ").first { $0.contains("-") })
        #expect(text.contains("line \(name): REGISTER_CONTENT is <\(recallCase.expected)>\n"))
      } else {
        #expect(text.contains("\(asked) \(recallCase.expected)."))
      }
    }
  }

  @Test func `lines have different names`() throws {
    let text = tokenizer.decode(try cases(.lines, lengths: [60_000], depths: [0.5], perPoint: 1)[0].prompt)
    let names = text.split(separator: "\n").filter { $0.hasPrefix("line ") }.map { $0.prefix { $0 != ":" } }
    #expect(names.count > 1000 && Set(names).count == names.count)
  }

  @Test func `a length without room says how much there must be`() throws {
    for task in Self.tasks {
      let error = #expect(throws: RecallError.self) { try cases(task, lengths: [4000, 12], depths: [0]) }
      #expect(error?.description.contains("12 tokens") == true && error?.description.contains(task.rawValue) == true)
    }
  }

  @Test func `text is cut at whole sentences and goes on from its start`() throws {
    var filler = FillerText()
    let added = [
      "  Mr. A. Low  went\nout. \"Why?\" she\tasked!  It rained… No. 3 was shut.", " \n\t ", "",
    ].map { filler.append(Array($0.utf8)) }
    #expect(added == [true, false, false])
    let text = tokenizer.decode(
      try cases(.needle, filler: filler, lengths: [600], depths: [0.5], perPoint: 1)[0].prompt)
    let sentences = ["Mr. A. Low went out.", "\"Why?\" she asked!", "It rained… No.", "3 was shut."]
    let fact = try #require(text.firstMatch(of: /The number of the [a-z]+-[a-z]+ is [0-9]{5}\./))
    var before = text[..<fact.range.lowerBound]
    // Before the fact stand whole sentences in their order, round and round.
    let first = try #require(sentences.firstIndex { before.hasPrefix($0) })
    var next = first
    while !before.isEmpty {
      try #require(before.hasPrefix(sentences[next] + " "), "\(before)")
      before = before.dropFirst(sentences[next].count + 1)
      next = (next + 1) % sentences.count
    }
    #expect(text[fact.range.upperBound...].dropFirst().hasPrefix(sentences[next]))
  }

  @Test func `text without any full stop is cut at a blank`() throws {
    for word in ["away ", "é", "a"] {
      var filler = FillerText()
      let isText = filler.append(Array(String(repeating: word, count: 3000).utf8))
      #expect(isText)
      let prompt = try cases(.passKey, filler: filler, lengths: [3000], depths: [0.5], perPoint: 1)[0].prompt
      #expect(prompt.count > 1800 && prompt.count <= 3000)
      #expect(!tokenizer.decode(prompt).contains("\u{FFFD}"))
    }
  }
}
