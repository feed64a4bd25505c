import Engine
import Evaluation
import KVCaches
import TestSupport
import Testing
import Tokenizers

@Suite struct StreamEvalTests {
  private let loaded: LanguageModel.Loaded

  init() throws { loaded = try TinyModel(biases: Self.digits).load(chunk: 64) }

  /// Digits are what the model likes to say, this one or that.
  private static let digits: [Int32: Float] = {
    let zero = Int32(TinyModel.specialTokens.count) + 0x30
    return Dictionary(uniqueKeysWithValues: (zero..<zero + 10).map { ($0, 12) })
  }()

  private func stream(linesBack: Int, sample: Int = 0) -> StreamEval {
    StreamEval(tokenizer: loaded.tokenizer, linesBack: linesBack, seed: 1, sample: sample)
  }

  @Test(arguments: [1, 5, 20, 37]) func `queries ask for a line some lines back, after every tenth`(linesBack: Int)
    throws
  {
    var stream = stream(linesBack: linesBack)
    var text = ""
    for query in 0..<12 {
      let part = stream.next()
      text += loaded.tokenizer.decode(part.tokens)
      let last = linesBack + 10 * query
      #expect(text.hasSuffix(">\nQuery: The REGISTER_CONTENT in line \(last - linesBack) is <"))
      let lines = text.split(separator: "\n").filter { $0.hasPrefix("The REGISTER_CONTENT in line ") }
      #expect(lines.count == last + 1)
      let answer = loaded.tokenizer.decode(part.answer)
      #expect(answer.count == 5)
      #expect(lines[last - linesBack] == "The REGISTER_CONTENT in line \(last - linesBack) is <\(answer)>")
      text += answer
    }
  }

  @Test func `each sample is a stream of its own, the same every time`() {
    var (a, b, c) = (stream(linesBack: 3), stream(linesBack: 3), stream(linesBack: 3, sample: 1))
    for _ in 0..<3 {
      let parts = (a.next(), b.next(), c.next())
      #expect(parts.0 == parts.1 && parts.0.answer != parts.2.answer)
    }
  }

  @Test func `an answer is exact where greedy decoding would give it and stop`() {
    let ids = { (text: String) in loaded.tokenizer.encode(text) }
    for (choices, exact, share) in [
      ("48213>", true, 1.0), ("482134", false, 1), ("48219>", false, 0.8), ("98213>", false, 0.8), ("-----7", false, 0),
    ] {
      let judged = StreamEvalRun.judge(ids("48213"), choices: ids(choices), tokenizer: loaded.tokenizer)
      #expect(judged.exact == exact && judged.digitShare == share, "\(choices)")
    }
  }

  @Test(arguments: ["full", "streaming-llm:4+60"])
  func `digits are those of one token at a time, by windows`(plan: String) throws {
    let (lengths, linesBack) = ([900, 1500, 1501, 2600], [2, 9])
    let run = try StreamEvalRun(
      engine: loaded.engine, tokenizer: loaded.tokenizer, plan: KVCache.Plan(plan), name: plan, lengths: lengths,
      linesBack: linesBack, slotType: .float32)
    var expected: [RecallGrid.Point: (cases: Int, right: Int)] = [:]
    for place in linesBack.indices {
      for sample in 0..<2 {
        try run.read(place: place, seed: 1, sample: sample)
        let scheduler = Scheduler(engine: loaded.engine)
        let sequence = try loaded.engine.makeSequence(KVCache.Plan(plan), slotType: .float32)
        var stream = stream(linesBack: linesBack[place], sample: sample)
        while true {
          let part = stream.next()
          let end = sequence.count + part.tokens.count + part.answer.count
          guard let window = lengths.firstIndex(where: { $0 >= end }) else { break }
          sequence.append(part.tokens)
          let point = RecallGrid.Point(length: window, place: place)
          expected[point, default: (0, 0)].cases += 1
          for token in part.answer {
            let logits = try #require(scheduler.logits(of: sequence))
            if Sampler.largest(logits).map({ Int32($0) }) == token { expected[point]?.right += 1 }
            sequence.append(token)
          }
        }
      }
    }
    #expect(Set(run.result.scores.keys) == Set(expected.keys))
    for (point, score) in run.result.scores {
      #expect(score.cases == expected[point]?.cases)
      #expect(abs(score.digitAccuracy * 5 * Double(score.cases) - Double(expected[point]?.right ?? 0)) < 1e-9)
    }
    #expect(expected.values.reduce(0) { $0 + $1.right } > 0)
    #expect(run.result.score.cases == expected.values.reduce(0) { $0 + $1.cases })
  }

  @Test func `a stream that ends before its first query says so`() throws {
    let run = try StreamEvalRun(
      engine: loaded.engine, tokenizer: loaded.tokenizer, plan: .full, name: "full", lengths: [400], linesBack: [20])
    let error = #expect(throws: RecallError.self) { try run.read(place: 0, seed: 1, sample: 0) }
    #expect(error?.description.contains("400 tokens") == true && error?.description.contains("20 lines") == true)
  }
}
