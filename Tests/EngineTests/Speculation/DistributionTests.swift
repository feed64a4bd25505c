import Foundation
import KVCaches
import TestSupport
import Testing

@testable import Engine

/// The distribution of texts over a vocabulary of three tokens, path by path.
@Suite struct DistributionTests {
  /// Tokens that a text may have; the likelihoods of all others are given to them.
  private static let vocabulary: [Int32] = [70, 85, 99]
  private static let length = 5

  /// The likelihood of each token of the vocabulary.
  private func likelihoods(_ logits: UnsafeMutableBufferPointer<Float>) -> [Double] {
    let weights = Self.vocabulary.map { exp(Double(logits[Int($0)])) }
    return weights.map { $0 / weights.reduce(0, +) }
  }

  /// The likelihood of a path, token by token, as those see it who choose its tokens.
  private func likelihoods(
    of path: [Int], _ prompt: [Int32], _ plan: String, _ speculation: Speculation, _ loaded: LanguageModel.Loaded
  ) throws -> (likelihoods: [Double], guesses: (tried: Int, confirmed: Int)) {
    let sequence = try loaded.engine.makeSequence(KVCache.Plan(plan), slotType: .float32)
    try sequence.speculate(speculation, costs: loaded.engine.guessCosts)
    sequence.append(prompt)
    sequence.requestLogits()
    let scheduler = Scheduler(engine: loaded.engine)
    scheduler.add(sequence)
    var result: [Double] = []
    scheduler.run(while: { true }) { sequence, logits in
      guard result.count < path.count else { return sequence.endTrial() }
      let choice = path[result.count]
      result.append(likelihoods(logits)[choice])
      sequence.append(Self.vocabulary[choice])
      guard result.count < path.count else { return sequence.endTrial() }
      sequence.requestLogits()
      sequence.guess(limit: .max)
    }
    return (result, sequence.guesses)
  }

  @Test(arguments: ["full", "streaming-llm:2+6", "window:5", "sinks:1,window:3,window:2"])
  func `every text is as likely with guesses as without them`(plan: String) throws {
    let loaded = try loadTiny(TinyModel(seed: 3), chunk: 16)
    let (a, b, c) = (Self.vocabulary[0], Self.vocabulary[1], Self.vocabulary[2])
    let prompts = [[a, b, c, a, b, c, a, b], [c, c, b, c, c, b, a, c, c]]
    let paths = (0..<243).map { number in
      (0..<Self.length).map { number / [1, 3, 9, 27, 81][$0] % 3 }
    }
    for prompt in prompts {
      var (tried, confirmed) = (0, 0)
      var sums = [1: 0.0, 3: 0.0]
      for path in paths {
        let plain = try likelihoods(of: path, prompt, plan, .off, loaded).likelihoods
        #expect(plain.count == Self.length)
        for count in [1, 3] {
          let guessed = try likelihoods(of: path, prompt, plan, .fixed(count), loaded)
          tried += guessed.guesses.tried
          confirmed += guessed.guesses.confirmed
          for (one, other) in zip(plain, guessed.likelihoods) { #expect(abs(one - other) < 1e-5, "\(path), \(count)") }
          #expect(guessed.likelihoods.count == Self.length)
          sums[count, default: 0] += guessed.likelihoods.reduce(1, *)
        }
      }
      for (count, sum) in sums { #expect(abs(sum - 1) < 1e-5, "\(count)") }
      #expect(tried > confirmed && confirmed > 0)
    }
  }
}
