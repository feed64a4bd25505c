import Engine
import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct SamplerTests {
  private func sample(_ logits: [Float], _ sampler: inout Sampler, after ids: [Int32] = []) -> Int32? {
    var log = TokenLog()
    for id in ids { log.append(id) }
    var logits = logits
    return logits.withUnsafeMutableBufferPointer { sampler.sample($0, after: log) }
  }

  private func greedy(_ logits: [Float], after ids: [Int32] = [], _ change: (inout SamplingOptions) -> Void = { _ in })
    -> Int32?
  {
    var options = SamplingOptions.greedy
    change(&options)
    var sampler = Sampler(options)
    return sample(logits, &sampler, after: ids)
  }

  @Test func `greedy takes the largest number, the lowest id among equals`() {
    #expect(greedy([1, 3, 2]) == 1)
    #expect(greedy([3, 1, 3]) == 0)
    #expect(greedy([-5, -.infinity, -5]) == 0)
    #expect(greedy([.nan, -1, .infinity, -2]) == 1)
    #expect(greedy([-.greatestFiniteMagnitude, -.infinity]) == 0)
  }

  @Test(arguments: [[Float.nan, .nan], [-.infinity, -.infinity], [.infinity, .nan, -.infinity], []])
  func `without a finite logit there is no token`(logits: [Float]) {
    for temperature in [0, 0.5, 1, 1e300] {
      var sampler = Sampler(SamplingOptions(temperature: temperature, seed: 1))
      #expect(sample(logits, &sampler) == nil)
    }
  }

  @Test(arguments: [0.1, 1, 1e6, 1e300])
  func `values that are no finite numbers are never drawn`(temperature: Double) {
    let logits: [Float] = [.nan, 0, -.infinity, 1, .infinity, -.nan, 0.5]
    var sampler = Sampler(SamplingOptions(temperature: temperature, topK: 0, topP: 1, minP: 0, seed: 2))
    let drawn = Set((0..<500).map { _ in sample(logits, &sampler) })
    #expect(drawn.isSubset(of: [1, 3, 6]))
  }

  /// The kept tokens by the definition: top-k, then top-p of what is left, then min-p; equal logits count by id.
  private func kept(_ logits: [Float], _ options: SamplingOptions) -> Set<Int32> {
    var ids = logits.indices.sorted { (logits[$0], -$0) > (logits[$1], -$1) }
    if options.topK > 0 { ids = Array(ids.prefix(options.topK)) }
    let weights = ids.map { exp(Double(logits[$0] - logits[ids[0]])) }
    let total = weights.reduce(0, +)
    var sum = 0.0
    var count = 0
    while count == 0 || (count < ids.count && sum < options.topP * total) {
      sum += weights[count]
      count += 1
    }
    if options.topP < 1 { ids = Array(ids.prefix(count)) }
    return Set(ids.filter { exp(Double(logits[$0] - logits[ids[0]])) >= options.minP }.map { Int32($0) })
  }

  @Test func `exactly the tokens of the definition are drawn`() {
    var random = SplitMix64(seed: 3)
    for topK in [0, 1, 2, 5, 12, 50] {
      for topP in [1, 0.99, 0.7, 0.3, 1e-9] {
        for minP in [0, 0.02, 0.3, 1] {
          // Temperature 3 makes each of the at most 12 tokens come up often enough to be seen in 2,000 draws.
          let logits = random.normals(12)
          let options = SamplingOptions(temperature: 3, topK: topK, topP: topP, minP: minP, seed: 4)
          var sampler = Sampler(options)
          let drawn = Set((0..<2000).compactMap { _ in sample(logits, &sampler) })
          #expect(drawn == kept(logits, options), "top-k \(topK), top-p \(topP), min-p \(minP), \(logits)")
        }
      }
    }
  }

  @Test func `equal logits are cut by id`() {
    var sampler = Sampler(SamplingOptions(temperature: 1, topK: 2, topP: 1, minP: 0, seed: 5))
    #expect(Set((0..<200).map { _ in sample([1, 2, 2, 2, 1], &sampler) }) == [1, 2])
  }

  @Test(arguments: [0.5, 1, 2])
  func `draws have the frequencies of the softmax`(temperature: Double) {
    let logits: [Float] = [0, 1, -1, 0.5, 2, -3]
    let weights = logits.map { exp(Double($0) / temperature) }
    let total = weights.reduce(0, +)
    let draws = 20_000
    var counts = [Int](repeating: 0, count: logits.count)
    var sampler = Sampler(SamplingOptions(temperature: temperature, topK: 0, topP: 1, minP: 0, seed: 6))
    for _ in 0..<draws { counts[Int(sample(logits, &sampler) ?? 0)] += 1 }
    for (count, weight) in zip(counts, weights) {
      let probability = weight / total
      // Five standard deviations of a binomial count: a right sampler with a fresh seed fails once in 10^5 runs.
      let bound = 5 * (Double(draws) * probability * (1 - probability)).squareRoot()
      #expect(abs(Double(count) - Double(draws) * probability) < bound)
    }
  }

  @Test func `penalties follow their formulas`() {
    // Token 0 occurs twice, token 2 once: positive logits are divided, negative ones multiplied.
    let recent: [Int32] = [0, 2, 0]
    #expect(greedy([2, 1.1, -1], after: recent) == 0)
    #expect(greedy([2, 1.1, -1], after: recent) { $0.repetitionPenalty = 2 } == 1)
    #expect(greedy([2, 0.9, -1], after: recent) { $0.repetitionPenalty = 2 } == 0)
    #expect(greedy([-9, -1.9, -1], after: recent) { $0.repetitionPenalty = 2 } == 1)
    #expect(greedy([-9, -2.1, -1], after: recent) { $0.repetitionPenalty = 2 } == 2)
    // Presence counts once, frequency once per occurrence.
    #expect(greedy([2, 1.4, -9], after: recent) { $0.presencePenalty = 0.5 } == 0)
    #expect(greedy([2, 1.6, -9], after: recent) { $0.presencePenalty = 0.5 } == 1)
    #expect(greedy([2, 0.9, -9], after: recent) { $0.frequencyPenalty = 0.5 } == 0)
    #expect(greedy([2, 1.1, -9], after: recent) { $0.frequencyPenalty = 0.5 } == 1)
    // Only the last tokens count, and what is not in the vocabulary is none of them.
    #expect(greedy([2, 1.6, -9], after: recent + [1, 1]) { ($0.presencePenalty, $0.penaltyWindow) = (5, 2) } == 0)
    #expect(greedy([2, 1.6], after: [99]) { $0.presencePenalty = 5 } == 0)
    #expect(greedy([2, 1.6], after: [0]) { ($0.presencePenalty, $0.penaltyWindow) = (5, 0) } == 0)
  }

  @Test func `the same seed draws the same tokens`() {
    var random = SplitMix64(seed: 7)
    let logits = (0..<50).map { _ in random.normals(100) }
    func draws(_ seed: UInt64) -> [Int32?] {
      var sampler = Sampler(SamplingOptions(temperature: 2, seed: seed))
      return logits.map { sample($0, &sampler) }
    }
    #expect(draws(1) == draws(1))
    #expect(draws(1) != draws(2))
  }

  @Test func `the random source keeps its sequence`() {
    // SplitMix64 from 0 gives 0xE220A8397B1DCDAF first (its reference); xoshiro256** then follows by hand.
    var mixer = SplitMix64(seed: 0)
    var state = (0..<4).map { _ in mixer.next() }
    #expect(state[0] == 0xE220_A839_7B1D_CDAF)
    var source = RandomSource(seed: 0)
    for _ in 0..<1000 {
      let product = state[1] &* 5
      let expected = (product << 7 | product >> 57) &* 9
      let shifted = state[1] << 17
      state[2] ^= state[0]
      state[3] ^= state[1]
      state[1] ^= state[2]
      state[0] ^= state[3]
      state[2] ^= shifted
      state[3] = state[3] << 45 | state[3] >> 19
      #expect(source.next() == expected)
    }
    #expect((0..<1000).allSatisfy { _ in (0..<1).contains(source.unit()) })
  }

  @Test func `impossible options are named`() {
    let bad: [(SamplingOptions, String)] = [
      (SamplingOptions(temperature: -1), "temperature"), (SamplingOptions(temperature: .nan), "temperature"),
      (SamplingOptions(topK: -1), "top-k"), (SamplingOptions(topP: 0), "top-p"), (SamplingOptions(topP: 1.1), "top-p"),
      (SamplingOptions(topP: .nan), "top-p"), (SamplingOptions(minP: -0.1), "min-p"),
      (SamplingOptions(minP: 2), "min-p"),
      (SamplingOptions(repetitionPenalty: 0), "repetition"), (SamplingOptions(presencePenalty: .infinity), "presence"),
      (SamplingOptions(frequencyPenalty: .nan), "frequency"), (SamplingOptions(penaltyWindow: -1), "window"),
    ]
    for (options, name) in bad { #expect(options.problem?.contains(name) == true, "\(name)") }
    #expect(SamplingOptions().problem == nil && SamplingOptions.greedy.problem == nil)
  }
}
