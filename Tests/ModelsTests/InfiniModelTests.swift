import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import KVCaches

/// Small models that were trained with a compressive memory, against PyTorch's logits, streamed segment by segment.
struct InfiniModelTests {
  static let folders = ["linear": "", "delta": "/delta", "local-only": "/local-only"]

  private static func plan(_ model: String) throws -> KVCache.Plan {
    try KVCache.Plan(model == "delta" ? "infini:64[update=delta]" : "infini:64")
  }

  @Test(
    "logits after prompts of 27, 352 and 4,076 tokens, and greedy ids across folds",
    .enabled(if: Assets.available, "\(Assets.missing)"), arguments: folders.keys.sorted(), ["short", "medium", "long"])
  func logits(model: String, prompt: String) throws {
    let golden = try #require(try Golden.json(Golden.path("infini-small.json"))[model]?[prompt])
    let runner = try ModelRunner(Assets.path("models/infini-small\(Self.folders[model] ?? "")"))
    let cache = try runner.makeCache(try Self.plan(model))
    let ids = golden["ids"]?.tokens ?? []
    var last = try #require(runner.logits(ids, cache: cache).last)
    for (index, value) in try #require(golden["logits"]?.object) {
      let expected = Float(value.double ?? .nan)
      #expect(abs(last[try #require(Int(index))] - expected) < 1e-4 * max(1, abs(expected)), "logit \(index)")
    }
    for (step, id) in (golden["greedy"]?.tokens ?? []).enumerated() {
      #expect(last.indices.max { last[$0] < last[$1] } == Int(id), "greedy id \(step)")
      last = runner.logits([id], cache: cache)[0]
    }
  }

  @Test(
    "the memory after five segments", .enabled(if: Assets.available, "\(Assets.missing)"),
    arguments: ["linear", "delta"])
  func memory(model: String) throws {
    let golden = try #require(try Golden.json(Golden.path("infini-small.json"))[model])
    let runner = try ModelRunner(Assets.path("models/infini-small\(Self.folders[model] ?? "")"))
    let cache = try runner.makeCache(try Self.plan(model))
    _ = runner.logits(golden["medium"]?["ids"]?.tokens ?? [], cache: cache)
    let state = try #require(cache.groups[0].state(CompressiveState.self))
    for layer in 0..<2 {
      let diagonals = try #require(golden["memory"]?["layer\(layer).M"]?["diagonal"]?.array).map(\.floats)
      let normalizers = try #require(golden["memory"]?["layer\(layer).z"]?["heads"]?.array).map(\.floats)
      for head in 0..<2 {
        let place = layer * 2 + head
        let diagonal = (0..<64).map { state.memory(place: place)[$0 * 65] }
        let normalizer = (0..<64).map { state.normalizer(place: place)[$0] }
        #expect(relativeError(diagonal, diagonals[head]) < 1e-5, "M of layer \(layer), head \(head)")
        #expect(relativeError(normalizer, normalizers[head]) < 1e-5, "z of layer \(layer), head \(head)")
      }
    }
  }
}
