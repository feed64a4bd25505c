package import KVCaches
import Kernels

/// A cache of the matrix, a small model's attention, and a sequence for both.
package struct MatrixSubject {
  package static let shape = KVCache.Shape(layers: 2, queryHeads: 4, keyValueHeads: 2, headDim: 32)
  package static let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: .halves))
  package static let sequence = TokenSequence(shape: shape, positions: positions, count: 64, seed: 17)

  package static func attention(threads: Int) throws -> LocalAttention {
    LocalAttention(shape: shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
  }

  package let plan: KVCache.Plan
  package let slotType: KVCache.SlotType
  package let attention: LocalAttention

  package init(plan: KVCache.Plan, slotType: KVCache.SlotType, attention: LocalAttention) {
    (self.plan, self.slotType, self.attention) = (plan, slotType, attention)
  }

  package func makeCache() throws -> KVCache {
    try KVCache(plan: plan, shape: Self.shape, slotType: slotType, positions: Self.positions)
  }

  /// The bytes that the cache is to take after so many tokens.
  package func bytes(tokens: Int) -> Int {
    KVCache.bytes(plan: plan, shape: Self.shape, slotType: slotType, tokens: tokens)
  }

  /// Drives tokens of the sequence through a cache.
  package func drive(
    _ cache: KVCache, _ tokens: Range<Int>, _ chunking: Chunking, afterStep: (Int) -> Void = { _ in }
  ) -> [[Float]] {
    attention.run(cache, Self.sequence, tokens: tokens, chunking: chunking, afterStep: afterStep)
  }
}
