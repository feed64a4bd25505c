import Foundation
import Kernels
import ModelJSON
import Testing

@testable import Evaluation
@testable import KVCaches

@Suite struct ErrorCurvesTests {
  @Test(arguments: [
    ("full", "full"), ("streaming-llm:4+508", "streaming-llm"), ("sinks:4,window:12/2", "sinks,window"),
    ("h2o:512[positions=clipped,sinks=1]", "h2o[positions=clipped,sinks=1]"),
    ("subgen:64[mode=paper]", "subgen[mode=paper]"),
  ])
  func `caches of one kind are one curve`(specification: String, family: String) {
    #expect(ErrorCurves.family(specification) == family)
  }

  private func measurement(_ cache: String, at position: Int, bytes: Int, error: Double) -> ErrorMeasurement {
    let layer = AttentionMeasurement.Layer(held: [[0]], error: error, headErrors: [error], masses: [1])
    return ErrorMeasurement(
      attention: AttentionMeasurement(cache: cache, position: position, last: 1, layers: [layer]), bytes: bytes,
      clusters: 1,
      geometry: [
        [
          HeadGeometry(
            radius: 2, queryNorm: 3, stableRank: 1, logitSpread: 1, sampleBound: 0.5, clusterBound: .infinity)
        ]
      ])
  }

  @Test func `one position is drawn over bytes, several over tokens`() throws {
    let few = [
      measurement("window:8", at: 9, bytes: 80, error: 0.5), measurement("window:4", at: 9, bytes: 40, error: 0.7),
      measurement("full", at: 9, bytes: 90, error: 1e-7),
    ]
    let overBytes = ErrorCurves.plot(few, title: "t", subtitle: "s")
    #expect(overBytes.panels[0].lines.map(\.label) == ["window", "full"])
    #expect(overBytes.panels[0].lines[0].points.map(\.x) == [40, 80])
    #expect(overBytes.panels[0].lines[0].points.map(\.y) == [0.7, 0.5])
    #expect(overBytes.panels[0].lines[1].points.map(\.y) == [0], "rounding is no error")
    let overTokens = ErrorCurves.plot(
      few + [measurement("window:8", at: 20, bytes: 80, error: 0.6)], title: "t", subtitle: "s")
    #expect(overTokens.panels[0].lines.map(\.label) == ["window:8", "window:4", "full"])
    #expect(overTokens.panels[0].lines[0].points.map(\.x) == [9, 20])
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(few[0].json.text.utf8)) as? [String: Any])
    #expect(Set(object.keys) == ["cache", "position", "last", "bytes", "clusters", "error", "layers"])
    let layers = try #require(object["layers"] as? [[String: Any]])
    let head = try #require((layers[0]["heads"] as? [[String: Any]])?.first)
    #expect(head["deltaR"] as? Double == 6 && head["clusterBound"] is NSNull)
  }

  /// The geometry of a full cache of a few tokens, against the definitions.
  @Test func `keys and values lie as they should`() throws {
    let shape = KVCache.Shape(layers: 1, queryHeads: 2, keyValueHeads: 1, headDim: 16)
    let kernels = InstructionSet.current
    let attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: kernels)
    let cache = try KVCache(plan: .full, shape: shape, slotType: .float32, positions: .none)
    // Two clusters of keys, 10 apart and 1 wide; values along one direction.
    let count = 40
    var keys = [Float](repeating: 0, count: count * 16)
    var values = keys
    for token in 0..<count {
      keys[token * 16] = token % 2 == 0 ? 0 : 10
      keys[token * 16 + 1] = token < 2 ? 0 : token % 4 < 2 ? 0 : 1
      values[token * 16 + 3] = Float(token % 5)
    }
    let queries: [Float] = (0..<count * 32).map { $0 % 16 == 0 ? ($0 / 16 % 2 == 0 ? 0.5 : -1) : 0 }
    var output = [Float](repeating: 0, count: count * 32)
    attention.beginStep(cache, rows: count)
    attention.begin(layer: 0, queries: queries)
    attention.finish(layer: 0, keys: keys, values: values, output: &output)
    let head = cache.geometry(layer: 0, queries: Array(queries.suffix(32)), clusters: 2, kernels: kernels)[0]
    // Keys in their own units: a radius of 1, at 0 and 10; values of 0 to 4.
    #expect(abs(head.keys.radius - 1) < 1e-6 && abs(head.keys.spread - 25.25.squareRoot()) < 1e-4)
    #expect(abs(head.values.radius - 2) < 1e-6 && abs(head.values.norm - 2) < 1e-6)
    #expect(abs(head.values.spread - 2.0.squareRoot()) < 1e-6 && head.keys.clusters == nil)
    // Within 0.5 four keys are apart, within 2 two; values within the same share of their spread.
    for (delta, keys, values) in [(0.5, 4, 5), (2, 2, 5), (5, 2, 3), (11, 1, 2)] as [(Double, Int, Int)] {
      let counted = cache.geometry(
        layer: 0, queries: Array(queries.suffix(32)), clusters: 2, delta: delta, kernels: kernels)[0]
      #expect(counted.keys.clusters == keys && counted.values.clusters == values, "\(delta)")
    }
    // headDim^(-1/4) is a half.
    #expect(abs(head.radius - 0.5) < 1e-6)
    #expect(abs(head.queryNorm - 0.5) < 1e-6)
    #expect(abs(head.stableRank - 1) < 1e-9)
    // Logits 0.5 × 10 / 4 for every second key and 0 for the others, and -1 × 10 / 4.
    #expect(abs(head.logitSpread - (0.625 + 1.25) / 2) < 1e-6)
    let bounds = [0.5 * 10 / 4, -10.0 / 4].map { Self.sampled(logit: $0, count: count) }
    #expect(abs(head.sampleBound - (bounds[0].bound + bounds[1].bound) / 2) < 1e-6)
    let clustered = [(exp(0.25) - 1) * 4 / bounds[0].mean, (exp(0.5) - 1) * 4 / bounds[1].mean]
    #expect(abs(head.clusterBound - max(clustered[0], clustered[1])) < 1e-5)
  }

  /// The bound of two samples where every second key has the logit and the others 0, and the mean value.
  private static func sampled(logit: Double, count: Int) -> (bound: Double, mean: Double) {
    var (sum, squares, mean, values) = (0.0, 0.0, 0.0, 0.0)
    for token in 0..<count {
      let weight = token % 2 == 0 ? 1 : exp(logit)
      let value = Double(token % 5)
      sum += weight
      squares += weight * weight
      mean += weight * value
      values += value * value
    }
    let share = (squares / (sum * sum)).squareRoot()
    return ((0.5).squareRoot() * share * values.squareRoot() / (mean / sum), mean / sum)
  }
}
