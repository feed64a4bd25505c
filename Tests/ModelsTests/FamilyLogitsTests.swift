import KVCaches
import Kernels
import ModelJSON
import Models
import TestSupport
import Testing

/// Families beside Llama against transformers, with the reference for a memory.
struct FamilyLogitsTests {
  static let models = [
    "cohere", "cohere.gguf", "cohere2", "cohere2.gguf", "ernie45", "ernie45.gguf", "exaone4", "exaone4-global",
    "exaone4-global.gguf", "exaone4.gguf", "falcon", "falcon-groups", "falcon-groups.gguf", "falcon.gguf",
    "gemma", "gemma.gguf", "gemma2", "gemma2-odd",
    "gemma2.gguf", "gemma3", "gemma3-images", "gemma3.gguf", "gemma4", "gemma4-moe", "gemma4-moe.gguf",
    "gemma4.gguf", "glm4", "glm4-odd", "glm4.gguf", "gpt-oss", "gpt-oss-mxfp4", "gpt-oss-mxfp4.gguf", "gpt-oss.gguf",
    "gptneox", "gptneox-sequential",
    "gptneox.gguf", "granite", "granite-moe", "granite-moe.gguf", "granite.gguf", "granite4", "granite4-unturned",
    "granite4.gguf", "lfm2", "lfm2-moe", "lfm2-moe.gguf",
    "lfm2.gguf", "llama-yarn", "llama-yarn.gguf", "ministral3", "ministral3.gguf", "mistral3", "mistral3-growing",
    "mistral3-growing.gguf", "mixtral", "mixtral.gguf", "mpt", "mpt-odd", "mpt-odd.gguf",
    "mpt.gguf", "olmo2", "olmo2.gguf", "olmo3", "phi2", "phi2-odd", "phi2.gguf", "phi3", "phi3-partial", "phi3.gguf",
    "qwen2", "qwen2-moe", "qwen2-moe-sparse", "qwen2-moe.gguf", "qwen2-windowed",
    "qwen2.gguf", "qwen3", "qwen3-moe", "qwen3-moe-sparse", "qwen3-moe.gguf", "qwen3.gguf", "qwen35", "qwen35-moe",
    "qwen35-moe.gguf", "qwen35.gguf", "seed-oss", "seed-oss.gguf", "smollm3", "smollm3.gguf", "stablelm",
    "stablelm-parallel",
    "stablelm-parallel.gguf",
    "stablelm.gguf", "starcoder2", "starcoder2-untied", "starcoder2-untied.gguf", "starcoder2.gguf",
  ]

  private func expect(
    _ logits: [[Float]], equal golden: JSONValue, _ what: String, sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for (position, expected) in zip(golden["positions"]!.integers, golden["logits"]!.array!) {
      let difference = largestDifference(logits[position], expected.floats)
      #expect(difference < 1e-4, "position \(position), \(what)", sourceLocation: sourceLocation)
    }
  }

  @Test("equal the references within 1e-4, whatever the chunk", arguments: models, [1, 5, 64])
  func logits(_ model: String, chunk: Int) throws {
    let golden = try GoldenLogitsTests.golden(of: model)
    let runner = try ModelRunner(Golden.path(model), chunk: chunk)
    let memory = try runner.makeReference()
    expect(runner.logits(golden["ids"]!.tokens, memory: memory), equal: golden, "chunks of \(chunk)")
  }

  @Test("are the same with every instruction set", arguments: models)
  func instructionSets(_ model: String) throws {
    let golden = try GoldenLogitsTests.golden(of: model)
    for kernels in InstructionSet.available {
      let runner = try ModelRunner(Golden.path(model), chunk: 16, kernels: kernels)
      let memory = try runner.makeReference()
      expect(runner.logits(golden["ids"]!.tokens, memory: memory), equal: golden, kernels.name)
    }
  }

  @Test("are the same with a cache, native windows included", arguments: models, [1, 7, 64])
  func cache(_ model: String, chunk: Int) throws {
    let golden = try GoldenLogitsTests.golden(of: model)
    let runner = try ModelRunner(Golden.path(model), chunk: chunk)
    expect(runner.logits(golden["ids"]!.tokens, cache: try runner.makeCache()), equal: golden, "a full cache")
  }

  @Test("the reference for a memory agrees with the cache on a Llama")
  func reference() throws {
    let golden = try GoldenLogitsTests.golden(of: "llama3-rope.gguf")
    let runner = try ModelRunner(Golden.path("llama3-rope.gguf"), chunk: 16)
    let memory = try runner.makeReference()
    expect(runner.logits(golden["ids"]!.tokens, memory: memory), equal: golden, "Llama")
  }

  @Test("come for any rows of a step in any order", arguments: ["gptneox", "llama3-rope"])
  func anyRows(_ model: String) throws {
    let ids = try GoldenLogitsTests.golden(of: model)["ids"]!.tokens
    let runner = try ModelRunner(Golden.path(model))
    let all = runner.logits(ids, memory: try runner.makeReference())
    for rows: [Int32] in [[47], [3, 0, 41], [5, 5, 4], [], [46, 45, 44, 43, 42, 41, 40, 39, 38, 2]] {
      #expect(runner.logits(of: rows) == rows.map { all[Int($0)] }, "\(rows)")
    }
  }

  @Test("Gemma 3 has layers of two kinds")
  func layers() throws {
    let layers = try ModelRunner(Golden.path("gemma3")).model.configuration.layers
    #expect(layers.map(\.window) == [9, 9, 9, 9, 9, nil, 9])
    #expect(layers.allSatisfy { $0.scale == 1 / Float(8).squareRoot() && $0.queryHeads == 4 && $0.headDim == 8 })
    let gguf = try ModelRunner(Golden.path("gemma3.gguf")).model.configuration.layers
    #expect(gguf == layers)
    let images = try ModelRunner(Golden.path("gemma3-images")).model.configuration
    #expect(images.layers.map(\.window) == [5, nil, 5])
    #expect(abs(images.layers[0].scale - 1 / Float(17).squareRoot()) < 1e-7)
  }
}
