package import Engine
import Foundation
package import KVCaches
import Tokenizers

/// What guesses at the next tokens give: the same texts written with and without them, in turn.
package struct SpeculationRun {
  package struct Options: Sendable {
    /// The most tokens of a text.
    package var decode = 256
    /// How often each text is written both ways; the median counts.
    package var rounds = 3

    package init() {}
  }

  /// One text, one way to choose tokens.
  package struct Row: Sendable {
    package let text: String
    package let temperature: Double
    /// Tokens that were written.
    package let tokens: Int
    package let plainTokensPerSecond: Double
    package let tokensPerSecond: Double
    /// How many times as fast text is written with guesses: the median of rounds, each of which compares neighbours.
    package let ratio: Double
    package let tokensPerStep: Double
    /// Guesses that went through the model, and those that came true.
    package let guesses: Int
    package let confirmed: Int
    /// Tokens before the first one that differs from the text without guesses; all where none does.
    package let equalTokens: Int
  }

  /// Text that was written once.
  private struct Writing {
    var tokens: [Int32] = []
    var seconds = 0.0
    var steps = 0
    var guesses = (tried: 0, confirmed: 0)
  }

  /// Greedily, and as usual.
  private static let samplings = [SamplingOptions.greedy, SamplingOptions(seed: 1)]

  /// Measures all texts, each in the model's chat frame where it has one.
  ///
  /// Only writing counts, from the second token on. One text is written first to warm up.
  ///
  /// - Throws: `KVCacheError` where the plan does not fit the model, or cannot take guesses back.
  package static func measure(
    _ loaded: LanguageModel.Loaded, plan: KVCache.Plan, slotType: KVCache.SlotType, options: Options,
    afterRow: (Row) throws -> Void
  ) throws {
    let run = SpeculationRun(loaded: loaded, plan: plan, slotType: slotType, options: options)
    try loaded.engine.makeSequence(plan, slotType: slotType).speculate(.fixed(1), costs: loaded.engine.guessCosts)
    _ = try run.write(run.prompt(SpeculationText.all[0]), .greedy, .off)
    for sampling in samplings {
      for text in SpeculationText.all { try afterRow(run.row(text, sampling)) }
    }
  }

  let loaded: LanguageModel.Loaded
  let plan: KVCache.Plan
  let slotType: KVCache.SlotType
  let options: Options

  private func prompt(_ text: SpeculationText) -> [Int32] {
    let tokens = loaded.tokenizer.encode(text.request)
    guard let frame = try? loaded.template.get().frame() else { return tokens }
    return frame.before + tokens + frame.after
  }

  private func row(_ text: SpeculationText, _ sampling: SamplingOptions) throws -> Row {
    let prompt = prompt(text)
    var (plain, guessed): ([Writing], [Writing]) = ([], [])
    for round in 0..<options.rounds {
      // Whoever comes second would profit from a warmer machine.
      for guesses in round % 2 == 0 ? [false, true] : [true, false] {
        let writing = try write(prompt, sampling, guesses ? .automatic : .off)
        if guesses { guessed.append(writing) } else { plain.append(writing) }
      }
    }
    let (first, last) = (plain[0], guessed[0])
    let rate = { (writing: Writing) in Double(max(1, writing.tokens.count - 1)) / writing.seconds }
    return Row(
      text: text.name, temperature: sampling.temperature, tokens: last.tokens.count,
      plainTokensPerSecond: SpeedMeasurement.median(plain.map(rate)),
      tokensPerSecond: SpeedMeasurement.median(guessed.map(rate)),
      ratio: SpeedMeasurement.median(zip(guessed, plain).map { rate($0) / rate($1) }),
      tokensPerStep: Double(last.tokens.count) / Double(max(1, last.steps)), guesses: last.guesses.tried,
      confirmed: last.guesses.confirmed,
      equalTokens: zip(first.tokens, last.tokens).prefix { $0 == $1 }.count)
  }

  private func write(_ prompt: [Int32], _ sampling: SamplingOptions, _ speculation: Speculation) throws -> Writing {
    let scheduler = Scheduler(engine: loaded.engine)
    let sequence = try loaded.engine.makeSequence(plan, slotType: slotType)
    try sequence.speculate(speculation, costs: loaded.engine.guessCosts)
    sequence.append(prompt)
    var generation = Generation(sequence, tokenizer: loaded.tokenizer, sampling: sampling, limit: options.decode)
    var writing = Writing()
    _ = try scheduler.next(of: &generation)
    let start = ContinuousClock.now
    while try scheduler.next(of: &generation) != nil { writing.steps += 1 }
    writing.seconds = max(1e-9, (ContinuousClock.now - start) / .seconds(1))
    writing.steps += 1
    writing.guesses = sequence.guesses
    writing.tokens = (0..<sequence.count - prompt.count).reversed().map { sequence.log[back: $0] }
    return writing
  }
}
