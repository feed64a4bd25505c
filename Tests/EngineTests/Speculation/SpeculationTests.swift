import CacheTestSupport
import KVCaches
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// Texts that are written with guesses and without them.
@Suite struct SpeculationTests {
  private let loaded: LanguageModel.Loaded
  /// Of steps so cheap that guesses are tried early.
  private let costs = GuessCosts(step: 0, row: 0.05)

  init() throws { loaded = try loadTiny(chunk: 16) }

  /// How a text ended, and how it left its sequence.
  private struct Outcome: Equatable {
    var text = ""
    var log: [Int32] = []
    var finish: Generation.Finish?
    var generated = 0
    var waiting = 0
    var inMemory: Int64 = 0
  }

  /// A text whose start repeats itself.
  private static func prompt(seed: UInt64) -> [Int32] {
    let piece = randomIDs(9, seed: seed)
    return piece + randomIDs(3, seed: seed + 1) + piece + piece.prefix(4)
  }

  private func write(
    _ speculation: Speculation, _ sampling: SamplingOptions = .greedy, plan: String = "full", stops: [String] = [],
    limit: Int = 40, seed: UInt64 = 1, undo: Int = 0, of loaded: LanguageModel.Loaded? = nil
  ) throws -> (outcome: Outcome, guesses: (tried: Int, confirmed: Int)) {
    let loaded = loaded ?? self.loaded
    let sequence = try loaded.engine.makeSequence(KVCache.Plan(plan), slotType: .float32)
    if undo > 0 { try sequence.keepUndoLog(depth: undo) }
    try sequence.speculate(speculation, costs: costs)
    sequence.append(Self.prompt(seed: seed))
    var generation = Generation(
      sequence, tokenizer: loaded.tokenizer, sampling: sampling, stopStrings: stops, limit: limit)
    var outcome = Outcome()
    let scheduler = Scheduler(engine: loaded.engine)
    while let text = try scheduler.next(of: &generation) { outcome.text += text }
    outcome.log = (0..<sequence.log.count).reversed().map { sequence.log[back: $0] }
    (outcome.finish, outcome.generated) = (generation.finish, generation.generatedTokens)
    (outcome.waiting, outcome.inMemory) = (sequence.waitingTokens, sequence.memory.tokenCount)
    return (outcome, sequence.guesses)
  }

  private static let plans = StageMatrix.plans.filter {
    let plan = try? KVCache.Plan($0)
    return plan?.slidesExactly == true && !$0.contains("clusters") && !$0.contains("uniform") && !$0.contains("moments")
  }

  @Test(arguments: plans)
  func `greedy text is the same under every cache that can take guesses back`(plan: String) throws {
    for seed: UInt64 in 1...4 {
      let plain = try write(.off, plan: plan, limit: 60, seed: seed)
      #expect(plain.guesses.tried == 0)
      for speculation in [Speculation.automatic, .fixed(1), .fixed(3), .fixed(16)] {
        let guessed = try write(speculation, plan: plan, limit: 60, seed: seed, undo: seed % 2 == 0 ? 30 : 0)
        #expect(guessed.outcome == plain.outcome, "\(speculation), seed \(seed)")
        if case .fixed = speculation { #expect(guessed.guesses.tried > 0, "\(speculation), seed \(seed)") }
      }
    }
  }

  @Test(arguments: StageMatrix.plans.filter { !plans.contains($0) })
  func `other caches refuse a number of guesses, and make none by themselves`(plan: String) throws {
    #expect(throws: KVCacheError.self) { try write(.fixed(3), plan: plan) }
    let (plain, automatic) = (try write(.off, plan: plan), try write(.automatic, plan: plan))
    #expect(automatic.outcome == plain.outcome && automatic.guesses.tried == 0)
  }

  @Test func `sampled text is the same with the same seed`() throws {
    var (tried, confirmed) = (0, 0)
    var samplings: [SamplingOptions] = []
    for seed in 1...12 {
      var sampling = SamplingOptions(penaltyWindow: 20, seed: UInt64(seed))
      sampling.temperature = [0.3, 1, 2][seed % 3]
      sampling.topK = [0, 3, 40][seed % 3]
      sampling.topP = seed % 2 == 0 ? 1 : 0.9
      sampling.repetitionPenalty = seed % 4 == 0 ? 1.3 : 1
      sampling.presencePenalty = seed % 5 == 0 ? 0.5 : 0
      sampling.frequencyPenalty = seed % 3 == 0 ? 0.2 : 0
      samplings.append(sampling)
    }
    for plan in ["full", "streaming-llm:4+12"] {
      for sampling in samplings {
        let plain = try write(.off, sampling, plan: plan, limit: 80)
        for speculation in [Speculation.fixed(2), .fixed(5), .automatic] {
          let guessed = try write(speculation, sampling, plan: plan, limit: 80)
          #expect(guessed.outcome == plain.outcome, "\(plan) \(speculation) \(sampling)")
          tried += guessed.guesses.tried
          confirmed += guessed.guesses.confirmed
        }
      }
    }
    // Both ways a trial can end were met.
    #expect(confirmed > 50 && tried - confirmed > 50, "\(tried) tried, \(confirmed) confirmed")
  }

  @Test func `penalties count every confirmed token`() throws {
    let sampling = SamplingOptions(
      temperature: 0, repetitionPenalty: 1.4, presencePenalty: 0.3, frequencyPenalty: 0.3, penaltyWindow: 12)
    for seed: UInt64 in 1...6 {
      #expect(
        try write(.fixed(4), sampling, seed: seed).outcome == write(.off, sampling, seed: seed).outcome, "\(seed)")
    }
  }

  @Test func `limits within a draft leave the sequence as they do without`() throws {
    for limit in 0...40 {
      for speculation in [Speculation.fixed(5), .fixed(16), .automatic] {
        #expect(
          try write(speculation, limit: limit).outcome == write(.off, limit: limit).outcome, "\(speculation), \(limit)")
      }
    }
  }

  @Test func `stop strings within a draft end the text in the same place`() throws {
    let characters = Array(try write(.off, limit: 60).outcome.text)
    var stopped = 0
    for start in 0..<characters.count - 3 {
      for length in 1...3 {
        let stop = String(characters[start..<start + length])
        let plain = try write(.off, stops: [stop], limit: 60).outcome
        #expect(try write(.fixed(6), stops: [stop], limit: 60).outcome == plain, "\(start), \(length)")
        stopped += plain.finish == .stopString ? 1 : 0
      }
    }
    #expect(stopped > characters.count)
  }

  @Test func `end tokens within a draft are not shown, and nothing behind them stays`() throws {
    var ends: Set<Int> = []
    let ending = try loadTiny(TinyModel(endBias: 1), chunk: 16)
    for seed: UInt64 in 1...40 {
      let sampling = SamplingOptions(temperature: 0.7, topK: 0, topP: 1, minP: 0, seed: seed)
      let plain = try write(.off, sampling, seed: seed, of: ending).outcome
      #expect(try write(.fixed(6), sampling, seed: seed, of: ending).outcome == plain, "seed \(seed)")
      if plain.finish == .endOfText { ends.insert(plain.generated) }
    }
    #expect(ends.count > 5, "\(ends)")
  }

  @Test func `sequences that guess keep each other company`() throws {
    let plans = ["full", "streaming-llm:4+12", "window:16", "full"]
    let expected = try plans.enumerated().map { try write(.off, plan: $1, seed: UInt64($0 + 1)).outcome }
    let scheduler = Scheduler(engine: loaded.engine)
    var generations: [Generation] = []
    for (index, plan) in plans.enumerated() {
      let sequence = try loaded.engine.makeSequence(KVCache.Plan(plan), slotType: .float32)
      try sequence.speculate(.automatic, costs: costs)
      sequence.append(Self.prompt(seed: UInt64(index + 1)))
      generations.append(
        Generation(sequence, tokenizer: loaded.tokenizer, sampling: .greedy, limit: 40))
      scheduler.add(sequence)
    }
    var texts = [String](repeating: "", count: plans.count)
    for index in plans.indices { #expect(generations[index].requestLogits()) }
    var failure: (any Error)?
    scheduler.run(while: { true }) { sequence, logits in
      let index = generations.firstIndex { $0.sequence === sequence } ?? 0
      do { texts[index] += try generations[index].accept(logits) } catch { failure = error }
      _ = generations[index].requestLogits()
    }
    #expect(failure == nil)
    #expect(texts == expected.map(\.text))
    #expect(generations.map(\.generatedTokens) == expected.map(\.generated))
    #expect(generations.contains { $0.sequence.guesses.confirmed > 0 })
  }

  @Test func `requests are taken back in a session that guesses`() throws {
    func session(_ speculation: Speculation) -> SessionState {
      SessionState(
        tokenizer: loaded.tokenizer, template: loaded.template, plan: .full, slotType: .float32,
        instructions: "be tiny",
        undoDepth: 400, speculation: speculation)
    }
    func ask(_ text: String, of state: SessionState) throws -> String {
      try state.begin(
        .turn(text), GenerationOptions(sampling: .greedy, maximumResponseTokens: 30), loaded.engine)
      var answer = ""
      while let text = try state.next(loaded.engine) { answer += text }
      return answer
    }
    let (plain, guessing) = (session(.off), session(.fixed(4)))
    for wrong in ["one one one", "two", nil, "three", nil, nil, "four", "five"] {
      guard let wrong else {
        for state in [plain, guessing] { try state.takeBackRequest() }
        continue
      }
      #expect(try ask(wrong, of: guessing) == ask(wrong, of: plain), "\(wrong)")
    }
    let sequence = try guessing.sequence(loaded.engine)
    #expect(sequence.guesses.confirmed > 0)
    #expect(try sequence.count == plain.sequence(loaded.engine).count)
  }

  @Test func `impossible numbers are refused in a line`() throws {
    for count in [-1, 17] {
      let state = SessionState(
        tokenizer: loaded.tokenizer, template: loaded.template, plan: .full, slotType: .float32, instructions: nil,
        speculation: .fixed(count))
      #expect(throws: LanguageModelError.badOptions("between 0 and 16 tokens can be guessed at once, not \(count)")) {
        try state.sequence(loaded.engine)
      }
    }
  }
}
