import CacheTestSupport
import Foundation
import Kernels
import Testing

@testable import KVCaches

/// One token again and again: an oracle for every cache, since the mean of equal values is the value.
@Suite("One repeated token")
struct RepeatedTokenTests {
  private static let count = 64
  private static let sequence = RepeatedToken.sequence(
    shape: MatrixSubject.shape, positions: MatrixSubject.positions, count: count)

  /// What slots round a value by, relative to its largest number.
  private static let rounding: [KVCache.SlotType: Float] = [
    .float32: 1e-5, .float16: 1e-3, .bfloat16: 1e-2, .q8_0: 1e-2, .q8_0_q4_1: 7e-2,
  ]

  /// Caches whose answer is not a mean of values: see `unfinished`.
  private static func answersWithMeans(_ plan: String) -> Bool { !plan.contains("update=delta") }

  @Test("every preset has a case")
  func everyPreset() {
    #expect(Set(RepeatedToken.presets.keys) == Set(Preset.all.map(\.name)))
  }

  @Test(
    "every cache answers with the token's value",
    arguments: RepeatedToken.presets.values.sorted() + RepeatedToken.variants
      + StageMatrix.plans.filter { Self.answersWithMeans($0) },
    KVCache.SlotType.allCases)
  func value(plan: String, slotType: KVCache.SlotType) throws {
    for (chunking, prompt) in [(Chunking.ones, 40), (.sizes([9, 1, 14]), 30), (.whole, 50)] {
      let error = try largestError(plan, slotType, chunking, prompt: prompt) { _ in 1 }
      // SubGen's numerator and denominator come from keys that are rounded by different kernels.
      let tolerance = Self.rounding[slotType]! * (plan.contains("=paper") ? 4 : 1)
      #expect(error < tolerance, "\(plan) \(slotType), \(chunking): \(error)")
    }
  }

  /// With the delta rule a token that the memory already answers adds nothing to it, but to what it is divided by
  /// (arXiv 2404.07143, 2.1.2): a after s segments becomes (s a + 1 - a) / (s + 1), which is 1, and from then on a half. An
  /// empty memory answers zero.
  @Test("the delta rule answers with half of the value")
  func unfinished() throws {
    let gate = 1 / (1 + exp(-0.5))
    let error = try largestError(
      "segment:16,compressive[update=delta,first=scaled,gate=0.5]", .float32, .ones, prompt: 40
    ) { token in
      let segments = token / 16
      return Float(1 - gate + gate * (segments == 0 ? 0 : segments == 1 ? 1 : 0.5))
    }
    #expect(error < 1e-5)
  }

  /// The largest difference of any output from `factor` times the value, relative to the largest number of the value.
  private func largestError(
    _ plan: String, _ slotType: KVCache.SlotType, _ chunking: Chunking, prompt: Int, factor: (Int) -> Float
  ) throws -> Float {
    let (shape, sequence) = (MatrixSubject.shape, Self.sequence)
    let cache = try KVCache(
      plan: try KVCache.Plan(plan, resolver: RepeatedToken.resolver), shape: shape, slotType: slotType,
      positions: MatrixSubject.positions)
    let team = try WorkerTeam(threads: 1)
    let attention = LocalAttention(shape: shape, team: team, kernels: .current)
    var outputs = attention.run(cache, sequence, tokens: 0..<prompt, chunking: chunking)
    cache.finishPrompt(team: team, kernels: .current)
    let answer = attention.run(cache, sequence, tokens: prompt..<Self.count, chunking: .ones)
    for layer in outputs.indices { outputs[layer] += answer[layer] }
    var largest: Float = 0
    for layer in 0..<shape.layers {
      for token in 0..<Self.count {
        for head in 0..<shape.queryHeads {
          let value = sequence.value(layer: layer, token: 0, head: head / shape.groupSize)
          let scale = value.map { abs($0) }.max() ?? 1
          let first = (token * shape.queryHeads + head) * shape.headDim
          for (index, number) in value.enumerated() {
            let error = abs(outputs[layer][first + index] - factor(token) * number) / scale
            // A number that is none is an error like no other.
            largest = max(largest, error.isNaN ? .infinity : error)
          }
        }
      }
    }
    return largest
  }
}
