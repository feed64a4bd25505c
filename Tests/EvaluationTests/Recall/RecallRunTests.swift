import Engine
import Evaluation
import KVCaches
import Models
import TestSupport
import Testing
import Tokenizers

@Suite struct RecallRunTests {
  private func load(_ tiny: TinyModel = TinyModel(), chunk: Int = 16) throws -> LanguageModel.Loaded {
    try tiny.load(chunk: chunk)
  }

  /// The id of a byte in the tiny vocabulary.
  private static func id(_ character: Character) -> Int32 {
    Int32(TinyModel.specialTokens.count) + Int32(character.asciiValue ?? 0)
  }

  /// A model that says sevens, whatever it reads.
  private static let sevens = TinyModel(biases: [id("7"): 20])

  private func run(
    _ loaded: LanguageModel.Loaded, _ plan: String = "full", answerTokens: Int = 32, memory: UInt64 = .max
  ) throws -> RecallRun {
    try RecallRun(
      engine: loaded.engine, tokenizer: loaded.tokenizer, plan: KVCache.Plan(plan), name: plan, slotType: .float32,
      answerTokens: answerTokens, memory: memory)
  }

  @Test func `a known answer is scored`() throws {
    let loaded = try load(Self.sevens)
    let prompt = loaded.tokenizer.encode("The key is")
    let run = try run(loaded, answerTokens: 3)
    let point = RecallGrid.Point(length: 0, place: 0)
    let answer = try run.answer(RecallCase(prompt: prompt, expected: "777", point: point))
    #expect(answer.text == "777" && answer.number == "777" && answer.tokens == 3)
    #expect(run.result.score.exactMatch == 1 && run.result.score.digitAccuracy == 1)
    try run.answer(RecallCase(prompt: prompt, expected: "7127"))
    #expect(
      run.result.score.cases == 2 && run.result.score.exactMatch == 0.5 && run.result.score.digitAccuracy == 0.625)
    #expect(run.result.scores.count == 1 && run.result.scores[point]?.cases == 1)
  }

  @Test func `the answer ends with its first number, the end of the text, or the limit`() throws {
    // Where nothing is favoured the tiny model says this and that; a weight on digits makes numbers come soon.
    var ends: Set<String> = []
    for seed in 0..<12 {
      var tiny = TinyModel(seed: UInt64(seed), endBias: 1)
      for digit in "0123456789" { tiny.biases[Self.id(digit)] = 0.6 }
      let loaded = try load(tiny)
      let prompt = loaded.tokenizer.encode("the river and the sea, \(seed)")
      let answer = try run(loaded, answerTokens: 24).answer(RecallCase(prompt: prompt, expected: "1"))
      // The same by the generation that users get.
      let scheduler = Scheduler(engine: loaded.engine)
      let sequence = try loaded.engine.makeSequence(.full, slotType: .float32)
      sequence.append(prompt)
      var generation = Generation(sequence, tokenizer: loaded.tokenizer, sampling: .greedy, limit: 24)
      var text = ""
      while let piece = try scheduler.next(of: &generation) { text += piece }
      #expect(text.utf8.starts(with: answer.text.utf8))
      #expect(answer.number == FirstNumber(in: text).digits)
      if FirstNumber(in: answer.text).isComplete {
        let shorter = try run(loaded, answerTokens: answer.tokens - 1).answer(RecallCase(prompt: prompt, expected: "1"))
        #expect(!FirstNumber(in: shorter.text).isComplete)
        ends.insert("number")
      } else {
        #expect(answer.tokens == generation.generatedTokens)
        ends.insert(answer.tokens == 24 ? "limit" : "end")
      }
    }
    #expect(ends.count >= 2, "\(ends)")
  }

  @Test func `where the first five digits count, the answer goes on until they are there`() throws {
    var splitNumbers = 0
    for seed in 0..<12 {
      var tiny = TinyModel(seed: UInt64(seed))
      for digit in "0123456789" { tiny.biases[Self.id(digit)] = 0.6 }
      let loaded = try load(tiny)
      let prompt = loaded.tokenizer.encode("the river and the sea, \(seed)")
      let expected = "12345"
      let run = try run(loaded, answerTokens: 40)
      let answer = try run.answer(RecallCase(prompt: prompt, expected: expected, digits: .firstFive))
      let digits = String(answer.text.filter { $0.isASCII && $0.isNumber }.prefix(5))
      #expect(answer.digits ?? "" == digits && answer.number == FirstNumber(in: answer.text).digits)
      #expect(run.result.score.digitAccuracy == RecallScore.digitShare(of: answer.digits, expected: expected))
      let other = try self.run(loaded, answerTokens: 40).answer(RecallCase(prompt: prompt, expected: expected))
      #expect(answer.text.utf8.starts(with: other.text.utf8) && other.digits == other.number)
      if other.text != answer.text { splitNumbers += 1 }
    }
    #expect(splitNumbers > 0)
  }

  @Test(arguments: ["full", "window:16", "streaming-llm:4+12"])
  func `every case starts from an empty cache`(plan: String) throws {
    let loaded = try load(chunk: 7)
    let prompts = ["the first case", "another one, somewhat longer than the first", "3"].map {
      loaded.tokenizer.encode($0)
    }
    let together = try run(loaded, plan, answerTokens: 9)
    for prompt in prompts + prompts {
      let recallCase = RecallCase(prompt: prompt, expected: "1")
      #expect(try together.answer(recallCase) == run(loaded, plan, answerTokens: 9).answer(recallCase))
    }
    #expect(together.result.score.cases == 6)
  }

  @Test func `bytes are those of the cache at its largest, and chunks are told`() throws {
    let loaded = try load(Self.sevens, chunk: 16)
    let shape = loaded.engine.model.configuration.attention
    for plan in ["full", "streaming-llm:4+12"] {
      let run = try run(loaded, plan, answerTokens: 1)
      var chunks: [Int] = []
      for count in [3000, 40] {
        try run.answer(RecallCase(prompt: [Int32](repeating: 9, count: count), expected: "7")) { tokens, bytes in
          chunks.append(tokens)
          #expect(bytes > 0)
        }
      }
      #expect(chunks.reduce(0, +) == 3040 && (chunks.max() ?? 0) <= 16)
      let expected = KVCache.bytes(plan: try KVCache.Plan(plan), shape: shape, slotType: .float32, tokens: 3000)
      #expect(run.result.cacheBytesPeak == expected)
    }
  }

  @Test func `a prompt that no memory holds is refused before it is read`() throws {
    let loaded = try load()
    let recallCase = RecallCase(
      prompt: [Int32](repeating: 9, count: 5000), expected: "1", origin: "cases.jsonl, line 3: the prompt")
    let error = #expect(throws: RecallError.self) { try run(loaded, memory: 1 << 18).answer(recallCase) }
    #expect(error?.description.hasPrefix("cases.jsonl, line 3: the prompt has 50") == true)
    try run(loaded, "window:16", memory: 1 << 18).answer(recallCase)
  }
}
