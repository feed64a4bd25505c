import KVCaches
import Kernels
import ModelJSON
import TestSupport
import Testing

/// Logits against PyTorch and transformers.
struct GoldenLogitsTests {
  static let models = [
    "attention-bias", "bfloat16", "float16", "grouped-tied", "linear-rope", "llama3-rope", "sharded",
    "llama3-rope.gguf", "quantised.gguf",
  ]

  static func golden(of model: String) throws -> JSONValue {
    try Golden.json(Golden.path(model.hasSuffix(".gguf") ? model + ".golden.json" : model + "/golden.json"))
  }

  @Test("equal the references within 1e-4, whatever the chunk", arguments: models, [1, 5, 64])
  func logits(_ model: String, chunk: Int) throws {
    let golden = try Self.golden(of: model)
    let runner = try ModelRunner(Golden.path(model), chunk: chunk)
    let logits = runner.logits(golden["ids"]!.tokens, cache: try runner.makeCache())
    for (position, expected) in zip(golden["positions"]!.integers, golden["logits"]!.array!) {
      #expect(largestDifference(logits[position], expected.floats) < 1e-4, "position \(position)")
    }
  }

  @Test("are the same with every instruction set", arguments: models)
  func instructionSets(_ model: String) throws {
    let golden = try Self.golden(of: model)
    for kernels in InstructionSet.available {
      let runner = try ModelRunner(Golden.path(model), chunk: 16, kernels: kernels)
      let logits = runner.logits(golden["ids"]!.tokens, cache: try runner.makeCache())
      let expected = golden["logits"]!.array!.last!.floats
      #expect(largestDifference(logits[golden["positions"]!.integers.last!], expected) < 1e-4, "\(kernels.name)")
    }
  }

  @Test("stay near with int8 activations")
  func quantisedActivations() throws {
    let golden = try Self.golden(of: "quantised.gguf")
    let runner = try ModelRunner(Golden.path("quantised.gguf"), chunk: 16, arithmetic: .int8)
    let logits = runner.logits(golden["ids"]!.tokens, cache: try runner.makeCache())
    for (position, expected) in zip(golden["positions"]!.integers, golden["logits"]!.array!) {
      #expect(relativeError(logits[position], expected.floats) < 0.05, "position \(position)")
    }
  }

  @Test("under a bounded cache equal the full cache's while nothing was evicted, bit for bit", arguments: models)
  func beforeEviction(_ model: String) throws {
    let ids = try Self.golden(of: model)["ids"]!.tokens
    let runner = try ModelRunner(Golden.path(model), chunk: 7)
    let full = runner.logits(ids, cache: try runner.makeCache())
    for plan in ["window:48", "streaming-llm:4+44", "streaming-llm:1+60"] {
      #expect(runner.logits(ids, cache: try runner.makeCache(KVCache.Plan(plan))) == full, "\(plan)")
    }
  }
}
