import CacheTestSupport
import Engine
import Evaluation
import Foundation
import KVCaches
import TestSupport
import Testing

/// A text of one word: every layer's attention answers with the same value at every token, so the whole model says the same
/// under every cache.
@Suite struct RepeatedWordTests {
  private static let word = [Int32](repeating: 77, count: 160)

  private func scores(
    _ plan: KVCache.Plan, _ slotType: KVCache.SlotType, _ engine: InferenceEngine
  ) throws -> [Double] {
    let run = try PerplexityRun(engine: engine, policy: .plan(plan, name: "\(plan)"), slotType: slotType)
    var scores: [Double] = []
    run.append(Self.word) { scores += $0 }
    run.finish { scores += $0 }
    return scores
  }

  @Test(arguments: RepeatedToken.presets.values.sorted() + RepeatedToken.variants)
  func `every cache scores it as a full cache does`(specification: String) throws {
    let plan = try KVCache.Plan(specification, resolver: RepeatedToken.resolver)
    let engine = try TinyModel().load(chunk: 16).engine
    // What SubGen takes its numerator and its denominator from is rounded apart.
    let rounding = specification.contains("=paper") ? 4e-3 : 2e-3
    for (slotType, tolerance) in [(KVCache.SlotType.float32, 1e-4), (.float16, rounding)] {
      let (found, expected) = (try scores(plan, slotType, engine), try scores(.full, slotType, engine))
      #expect(found.count == Self.word.count - 1 && expected.count == found.count)
      let difference = zip(found, expected).map { abs($0 - $1) }.max() ?? .infinity
      #expect(difference < tolerance, "\(specification) \(slotType): \(difference)")
    }
  }
}
