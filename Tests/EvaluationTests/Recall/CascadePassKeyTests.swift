import Engine
import Foundation
import TestSupport
import Testing
import Tokenizers

@testable import Evaluation

/// Pass keys in the form of the runs of Cascading KV Cache.
@Suite struct CascadePassKeyTests {
  private let tokenizer: Tokenizer

  init() throws {
    tokenizer = try withTemporaryDirectory { folder in
      try LanguageModel.tokenizer(of: TinyModel().write(in: folder))
    }
  }

  private func cases(
    filler: FillerText? = nil, lengths: [Int] = [2000], depths: [Double], perPoint: Int = 4, seed: UInt64 = 1
  ) throws -> [RecallCase] {
    let cases = try RecallCases(
      RecallPrompts(.passKey, tokenizer: tokenizer, filler: filler, needle: .cascade), lengths: lengths, depths: depths,
      casesPerPoint: perPoint, seed: seed)
    return try (0..<cases.count).map { try cases($0) }
  }

  /// The parts of a prompt: what stands before the key's lines, those lines, and what follows.
  private func parts(_ recallCase: RecallCase) throws -> (before: String, note: [String], after: String) {
    let text = tokenizer.decode(recallCase.prompt)
    let note = try #require(text.firstMatch(of: /### An important note begins here ###(.|\n)*ends here ###/))
    return (
      String(text[..<note.range.lowerBound]), text[note.range].split(separator: "\n").map(String.init),
      String(text[note.range.upperBound...])
    )
  }

  @Test func `the key stands six times in two equal lines, behind an instruction and before the question`() throws {
    for recallCase in try cases(depths: [0.1, 0.9]) {
      let (before, note, after) = try parts(recallCase)
      let key = recallCase.expected
      #expect(key.count == 5 && key.first != "0" && recallCase.digits == .firstFive)
      #expect(note.count == 5 && note[1] == note[3])
      #expect(note[1].components(separatedBy: key).count == 4)
      #expect(before.hasPrefix("A five-digit pass key is hidden") && !before.contains(key))
      #expect(after.hasSuffix("What is the five-digit pass key? The pass key is") && !after.contains(key))
    }
  }

  @Test func `the filler is common words in an order that only the seed decides`() throws {
    let words = Set(CommonWords.all)
    #expect(words.count == CommonWords.all.count && words.count > 400)
    #expect(words.allSatisfy { $0.allSatisfy { $0.isASCII && $0.isLowercase } && $0 != "key" && $0 != "pass" })
    let all = try cases(depths: [0.5])
    #expect(try cases(depths: [0.5]) == all)
    #expect(try cases(depths: [0.5], seed: 2).map(\.prompt) != all.map(\.prompt))
    var fillers: Set<String> = []
    for recallCase in all {
      let (before, _, after) = try parts(recallCase)
      let start = try #require(before.range(of: "\n\n")).upperBound
      let end = try #require(after.range(of: "\n\n")).lowerBound
      let filler = (before[start...] + after[..<end]).split(separator: " ").map(String.init)
      #expect(filler.count > 100 && filler.allSatisfy { words.contains($0) })
      fillers.insert(filler.joined(separator: " "))
    }
    #expect(fillers.count == all.count)
  }

  @Test func `prompts fill their length, and keys stand anywhere within a tenth of their depth`() throws {
    for depth in [0.1, 0.5, 0.9] {
      var places: Set<Int> = []
      for recallCase in try cases(lengths: [4000], depths: [depth], perPoint: 12) {
        #expect((3980...4000).contains(recallCase.prompt.count), "\(recallCase.prompt.count)")
        let (before, _, after) = try parts(recallCase)
        let start = try #require(before.range(of: "\n\n")).upperBound
        let end = try #require(after.range(of: "\n\n")).lowerBound
        let (older, newer) = (before[start...].utf8.count, after[..<end].utf8.count)
        let place = Double(older) / Double(older + newer)
        #expect(abs(place - depth) < 0.11, "\(place) for \(depth)")
        places.insert(Int(place * 50))
      }
      #expect(places.count > 4, "each case has a place of its own")
    }
  }

  @Test func `text of one's own takes the place of the words`() throws {
    var filler = FillerText()
    let isText = filler.append(Array("The sea is wide. The sky is high.".utf8))
    #expect(isText)
    let (before, _, _) = try parts(try cases(filler: filler, depths: [0.5], perPoint: 1)[0])
    #expect(before.contains("The sea is wide. The sky is high. The sea is wide."))
  }

  @Test func `a length without room says how much there must be`() throws {
    let error = #expect(throws: RecallError.self) { try cases(lengths: [30], depths: [0.5]) }
    #expect(error?.description.contains("30 tokens") == true)
  }
}
