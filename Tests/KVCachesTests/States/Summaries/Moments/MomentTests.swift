import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Moments of melted tokens against the polynomial of each token, and against exact attention.
@Suite("Moments")
struct MomentTests {
  /// Keys with a common mean and values, `scale` the deviation of each entry.
  struct Tokens {
    let keys, values: [[Float]]

    init(_ count: Int, dim: Int, scale: Float, seed: UInt64) {
      var random = SplitMix64(seed: seed)
      let mean = random.normals(dim)
      keys = (0..<count).map { _ in zip(random.normals(dim, scale: scale), mean).map { $0 + $1 } }
      values = (0..<count).map { _ in random.normals(dim) }
    }
  }

  private static func product(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0 * $1.1) } }

  /// The answer of the polynomial, token by token in Float64, where no direction is dropped.
  private func reference(_ query: [Float], _ tokens: Tokens) -> MomentHead.Answer {
    let logits = tokens.keys.map { Self.product(query, $0) }
    let mean = logits.reduce(0, +) / Double(logits.count)
    let variance = logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(logits.count)
    let spread = HermiteExponentialTests.Spread(mean: mean, variance: variance)
    return answer(logits.map { HermiteExponentialTests.definition(spread, at: $0) }, tokens)
  }

  private func answer(_ weights: [Double], _ tokens: Tokens) -> MomentHead.Answer {
    let sum = weights.reduce(0, +)
    let output = tokens.values[0].indices.map { index in
      zip(weights, tokens.values).reduce(0) { $0 + $1.0 * Double($1.1[index]) } / sum
    }
    return MomentHead.Answer(logSum: sum.logarithm, output: output)
  }

  private func difference(_ a: MomentHead.Answer, _ b: MomentHead.Answer) -> Double {
    max(abs(a.logSum - b.logSum), zip(a.output, b.output).reduce(0) { max($0, abs($1.0 - $1.1)) })
  }

  @Test("with all directions the answer is the polynomial of every token")
  func allDirections() {
    var random = SplitMix64(seed: 11)
    for (dim, scale) in [(2, 0.5), (6, 0.3), (6, 1)] as [(Int, Float)] {
      let head = MomentHead(Moments(dim), dim: dim)
      let tokens = Tokens(200, dim: dim, scale: scale, seed: 9)
      head.observe(tokens.keys)
      head.melt(tokens.keys, tokens.values)
      let queries = (0..<9).map { _ in random.normals(dim, scale: 0.7) }
      for (query, found) in zip(queries, head.attend(queries)) {
        let expected = reference(query, tokens)
        #expect(difference(found, expected) < 2e-3, "\(dim) dims, scale \(scale): \(found) instead of \(expected)")
      }
    }
  }

  @Test("the sum is what mean and variance of the logits say")
  func closedSum() {
    let tokens = Tokens(300, dim: 4, scale: 1, seed: 2)
    let head = MomentHead(Moments(4), dim: 4)
    head.observe(tokens.keys)
    head.melt(tokens.keys, tokens.values)
    let query: [Float] = [0.5, -1, 0.7, 0.2]
    let logits = tokens.keys.map { Self.product(query, $0) }
    let mean = logits.reduce(0, +) / 300
    let variance = logits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 300
    let expected = mean + (300 * (1 + variance / 2 + variance * variance / 8)).logarithm
    #expect(abs(head.attend([query])[0].logSum - expected) < 1e-4)
  }

  @Test("a sum that the exponential cannot have gives way to the mean of all tokens")
  func guarded() {
    // Equal keys so far out that Float32 has nothing left for the square of their spread.
    var expected = 0
    for key in stride(from: Float(10_001), to: 10_200, by: 2) {
      let head = MomentHead(Moments(1), dim: 1)
      head.melt((0..<100).map { _ in [key] }, (0..<100).map { [Float($0 % 10)] })
      let answer = head.attend([[1]])[0]
      if Double(key * key) < Double(key) * Double(key) { expected += 1 }
      #expect(answer.logSum > Double(key) + 100.0.logarithm - 0.01, "\(key)")
      #expect(abs(answer.output[0] - 4.5) < 1e-3, "\(key)")
    }
    #expect(expected > 10)
  }

  @Test("all that melted counts as so many tokens at most")
  func weight() {
    let tokens = Tokens(300, dim: 4, scale: 0.5, seed: 3)
    let (light, heavy) = (MomentHead(Moments(4, weight: 50), dim: 4), MomentHead(Moments(4, weight: 300), dim: 4))
    for head in [light, heavy] {
      head.observe(tokens.keys)
      head.melt(tokens.keys, tokens.values)
    }
    let query: [Float] = [0.5, -1, 0.7, 0.2]
    let (found, expected) = (light.attend([query])[0], heavy.attend([query])[0])
    #expect(abs(found.logSum - (expected.logSum - 6.0.logarithm)) < 1e-5)
    #expect(zip(found.output, expected.output).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  @Test("few directions are enough for keys that differ in few")
  func projection() {
    var random = SplitMix64(seed: 4)
    let basis = (0..<3).map { _ in random.normals(16, scale: 0.4) }
    let mean = random.normals(16, scale: 2)
    let keys = (0..<150).map { _ in
      basis.reduce(mean) { key, direction in
        let factor = random.normal()
        return zip(key, direction).map { $0 + factor * $1 }
      }
    }
    let values = keys.map { _ in random.normals(16) }
    let queries = (0..<5).map { _ in random.normals(16, scale: 0.5) }
    let (few, all) = (MomentHead(Moments(3), dim: 16), MomentHead(Moments(16), dim: 16))
    for head in [few, all] {
      head.observe(keys)
      head.melt(keys, values)
    }
    for (found, expected) in zip(few.attend(queries), all.attend(queries)) {
      #expect(difference(found, expected) < 1e-3)
    }
  }

  @Test("dropped directions count by their variance, up to a limit")
  func residual() {
    var random = SplitMix64(seed: 5)
    // One wide direction and seven narrow ones, of which nothing melts in.
    let observed = (0..<4000).map { _ in [5 * random.normal()] + random.normals(7, scale: 0.5) }
    let head = MomentHead(Moments(1), dim: 8)
    head.observe(observed)
    head.melt([[Float](repeating: 0, count: 8)], [[Float](repeating: 1, count: 8)])
    for (length, expected) in [(0, 0), (1, 0.125), (2, 0.5), (4, 2), (20, 4)] as [(Float, Double)] {
      var query = [Float](repeating: 0, count: 8)
      query[3] = length
      let found = head.attend([query])[0].logSum
      #expect(abs(found - expected) < 0.05 * max(1, Double(length)), "\(length): \(found)")
    }
  }

  @Test("melting is a sum: order and company do not matter")
  func linearity() {
    let tokens = Tokens(120, dim: 8, scale: 0.6, seed: 6)
    let queries = (0..<6).map { Array(tokens.keys[$0]) }
    func head(_ order: [Int]) -> MomentHead {
      let head = MomentHead(Moments(4), dim: 8)
      head.observe(tokens.keys)
      head.melt(order.map { tokens.keys[$0] }, order.map { tokens.values[$0] })
      return head
    }
    let straight = head(Array(0..<120))
    for (found, expected) in zip(head(Array((0..<120).reversed())).attend(queries), straight.attend(queries)) {
      #expect(difference(found, expected) < 1e-4)
    }
    let (first, second) = (head(Array(0..<50)), head(Array(50..<120)))
    // Nothing lies far from the center, which stays.
    for index in 0..<straight.summary.table.count {
      let sum = first.summary.featureSums[index] + second.summary.featureSums[index]
      #expect(abs(sum - straight.summary.featureSums[index]) < 1e-9 * max(1, abs(sum)))
    }
  }

  @Test("rows do not depend on their batch, and threads share heads")
  func batches() {
    let tokens = Tokens(60, dim: 8, scale: 0.6, seed: 7)
    let head = MomentHead(Moments(5), dim: 8)
    head.observe(tokens.keys)
    head.melt(tokens.keys, tokens.values)
    let queries = Array(tokens.keys.prefix(7))
    let together = head.attend(queries, batch: 7)
    for batch in [1, 2, 3, 5] {
      let apart = head.attend(queries, batch: batch)
      #expect(zip(apart, together).allSatisfy { $0.logSum == $1.logSum && $0.output == $1.output })
    }
    #expect(head.attend(queries, share: WorkShare(index: 0, count: 3))[0].logSum == together[0].logSum)
    #expect(head.attend(queries, share: WorkShare(index: 1, count: 3))[0].logSum == -.infinity)
  }

  @Test("flat heads lose little")
  func quality() {
    var random = SplitMix64(seed: 8)
    // Deviations fall with the direction, logits deviate by 0.64 in the mean.
    let deviations = (1...32).map { 1 / Float($0).squareRoot() }
    func vector() -> [Float] { zip(random.normals(32), deviations).map { $0 * $1 } }
    let keys = (0..<800).map { _ in vector() }
    let values = keys.map { key in (0..<32).map { tanh(key[$0] + key[($0 + 1) % 32]) } }
    let head = MomentHead(Moments(16), dim: 32)
    head.observe(keys)
    head.melt(keys, values)
    var (error, size) = (0.0, 0.0)
    for _ in 0..<20 {
      let query = vector().map { $0 * 0.5 }
      let expected = answer(keys.map { exp(Self.product(query, $0)) }, Tokens(keys, values))
      let found = head.attend([query])[0]
      #expect(abs(found.logSum - expected.logSum) < 0.3)
      error += zip(found.output, expected.output).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      size += expected.output.reduce(0) { $0 + $1 * $1 }
    }
    #expect((error / size).squareRoot() < 0.15, "\((error / size).squareRoot())")
  }

  @Test("broken and huge numbers neither crash nor stay")
  func brokenNumbers() {
    let tokens = Tokens(40, dim: 8, scale: 0.5, seed: 10)
    for rank in [1, 3, 8] {
      let specification = Moments(rank)
      let (clean, dirty) = (MomentHead(specification, dim: 8), MomentHead(specification, dim: 8))
      for head in [clean, dirty] { head.observe(tokens.keys) }
      clean.melt(tokens.keys, tokens.values)
      for broken in [Float.nan, .infinity, -.infinity, 1e38, 1e20] {
        let vector = [Float](repeating: broken, count: 8)
        dirty.observe([vector])
        dirty.melt([vector, tokens.keys[0]], [tokens.values[0], vector])
        let answer = clean.attend([vector, tokens.keys[0]])
        #expect(answer.count == 2 && answer[1].logSum.isFinite)
      }
      dirty.melt(tokens.keys, tokens.values)
      let (found, expected) = (dirty.attend([tokens.keys[1]])[0], clean.attend([tokens.keys[1]])[0])
      // What came before the first token melted counts in the mean; what came after does not.
      #expect(found.logSum == expected.logSum && found.output == expected.output)
    }
    // Nothing but broken keys.
    let head = MomentHead(Moments(4), dim: 8)
    let broken = [[Float]](repeating: [Float](repeating: .nan, count: 8), count: 9)
    head.observe(broken)
    head.melt(broken, broken)
    #expect(head.attend([tokens.keys[0]])[0].logSum == -.infinity)
  }

  @Test("memory is what the plan says, whatever melted")
  func memory() {
    for (rank, dim) in [(16, 64), (16, 128), (4, 64), (64, 16)] {
      let specification = Moments(rank)
      let site = StateSite(layers: 3, keyValueHeads: 2, groupSize: 2, headDim: dim, slotType: .float16)
      #expect(specification.makeState(site).bytes == specification.bytes(site, tokens: 0))
    }
    // The covariance has room in the sums: 153 features of 64 values and a count, 16 directions, two means, 24 bytes.
    #expect(MomentSummary.headBytes(rank: 16, dim: 64) == 153 * 8 + 4 * (153 * 64 + 2 * 64 + 64 * 16) + 24)
    #expect(MomentSummary.headBytes(rank: 4, dim: 64) == 15 * 8 + 4 * (65 * 32 + 2 * 64 + 64 * 4) + 24)
    #expect(Moments(16).tokenEquivalents(headDim: 64) == 176)
  }

  @Test("the same stream gives the same sums, however it is cut, on any count of threads")
  func chunks() throws {
    let shape = KVCache.Shape(layers: 2, queryHeads: 6, keyValueHeads: 2, headDim: 16)
    for options in ["", "[positions=original]"] {
      let plan = try KVCache.Plan("sinks:3,window:21,moments:4\(options)")
      let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 16, base: 10_000, layout: .halves))
      let sequence = TokenSequence(shape: shape, positions: positions, count: 150, seed: 12)
      var snapshots: Set<[UInt8]> = []
      for (chunking, threads) in [
        (Chunking.ones, 1), (.ones, 3), (.sizes([7]), 2), (.sizes([50, 1, 20]), 1), (.whole, 3),
      ] {
        let attention = LocalAttention(
          shape: shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
        let cache = try KVCache(plan: plan, shape: shape, slotType: .float32, positions: positions)
        _ = attention.run(cache, sequence, tokens: 0..<150, chunking: chunking)
        snapshots.insert(cache.snapshot())
      }
      #expect(snapshots.count == 1, "\(options)")
    }
  }

  @Test("a snapshot with sums that cannot be is refused")
  func hostileSnapshots() throws {
    let tokens = Tokens(30, dim: 4, scale: 0.5, seed: 13)
    let head = MomentHead(Moments(2), dim: 4)
    head.observe(tokens.keys)
    head.melt(tokens.keys, tokens.values)
    var writer = SectionWriter()
    head.summary.write(head: 0, to: &writer)
    func take(_ bytes: [UInt8]) throws -> MomentHead {
      let target = MomentHead(Moments(2), dim: 4)
      try bytes.withUnsafeBytes {
        var reader = SectionReader($0)
        try target.summary.read(head: 0, from: &reader)
        #expect(reader.remaining == 0)
      }
      return target
    }
    let query = [tokens.keys[3]]
    #expect(try take(writer.bytes).attend(query)[0].output == head.attend(query)[0].output)
    #expect(throws: KVCacheError.self) { try take(writer.bytes.dropLast()) }
    // Counts of keys, the variance, the flag, the count of tokens, and the last sum, each all ones.
    for offset in [0, 4, 8, 12, 24, writer.bytes.count - 8] {
      var bytes = writer.bytes
      for index in offset..<min(offset + 8, bytes.count) { bytes[index] = 0xFF }
      #expect(throws: KVCacheError.self, "\(offset)") { try take(bytes) }
    }
    // Tokens that melted before directions were fixed.
    var bytes = writer.bytes
    bytes[12] = 0
    #expect(throws: KVCacheError.self) { try take(bytes) }
  }
}

extension MomentTests.Tokens {
  init(_ keys: [[Float]], _ values: [[Float]]) { (self.keys, self.values) = (keys, values) }
}
