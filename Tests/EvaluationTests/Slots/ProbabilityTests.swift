import CacheTestSupport
import Evaluation
import Foundation
import KVCaches
import Kernels
import Testing

/// How a query spreads its attention over the tokens of a full cache, against the softmax of the definition in Float64.
@Suite("Probabilities of a full cache")
struct ProbabilityTests {
  private static let shape = KVCache.Shape(layers: 2, queryHeads: 4, keyValueHeads: 2, headDim: 8)

  @Test(
    "are those of the definition",
    arguments: [
      PositionEncoding.rotary(RotaryEmbedding(dim: 8, base: 100, layout: .halves)),
      .rotary(RotaryEmbedding(dim: 4, base: 10_000, layout: .interleaved)), .none,
      .linearBias(slopes: [0.5, 0.25, 0.125, 0.01]),
    ])
  func definition(positions: PositionEncoding) throws {
    // More than a block of slots, and a token alone.
    for count in [1, 50, 1100] {
      let sequence = TokenSequence(shape: Self.shape, positions: positions, count: count, seed: 3)
      let attention = LocalAttention(
        shape: Self.shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
      let cache = try KVCache(plan: .full, shape: Self.shape, slotType: .float32, positions: positions)
      _ = attention.run(cache, sequence, tokens: 0..<count, chunking: .sizes([64]))
      for layer in 0..<Self.shape.layers {
        let width = Self.shape.queryHeads * Self.shape.headDim
        let queries = Array(sequence.queries[layer][((count - 1) * width)...])
        let probabilities = cache.probabilities(layer: layer, queries: queries, kernels: InstructionSet.current)
        for head in 0..<Self.shape.keyValueHeads {
          let expected = self.expected(sequence, layer: layer, head: head)
          #expect(probabilities[head].count == count)
          for (probability, expected) in zip(probabilities[head], expected) {
            #expect(abs(Double(probability) - expected) < 2e-6)
          }
        }
      }
    }
  }

  /// The mean over the group's heads, `[token]`.
  private func expected(_ sequence: TokenSequence, layer: Int, head: Int) -> [Double] {
    let (shape, last) = (sequence.shape, sequence.count - 1)
    var mean = [Double](repeating: 0, count: sequence.count)
    for queryHead in head * shape.groupSize..<(head + 1) * shape.groupSize {
      let query = sequence.query(layer: layer, token: last, head: queryHead).map { Double($0) }
      let exponentials = (0...last).map { token in
        let rotated = sequence.rotated(query, by: last - token)
        let key = sequence.key(layer: layer, token: token, head: head)
        let product = zip(rotated, key).reduce(0) { $0 + $1.0 * Double($1.1) }
        var slope = 0.0
        if case .linearBias(let slopes) = sequence.positions { slope = Double(slopes[queryHead]) }
        return exp(product / Double(shape.headDim).squareRoot() - slope * Double(last - token))
      }
      let sum = exponentials.reduce(0, +)
      for token in 0...last { mean[token] += exponentials[token] / sum / Double(shape.groupSize) }
    }
    return mean
  }
}
