import Foundation
import KVCaches
import Kernels
import Models
import TestSupport
import Testing
import Weights

/// Adapters of a matrix that holds queries, keys and values head by head.
struct FusedAdapterTests {
  private static let (rank, hidden) = (3, 32)
  private static let base = Golden.path("gptneox")

  private static func module(_ layer: Int) -> String { "gpt_neox.layers.\(layer).attention.query_key_value" }

  /// Random factors of one layer's matrix: `[rank, hidden]` and `[3 · hidden, rank]`.
  private static func factors(_ layer: Int) -> (down: [Float], up: [Float]) {
    var random = SplitMix64(seed: UInt64(40 + layer))
    return (random.normals(rank * hidden, scale: 0.2), random.normals(3 * hidden * rank, scale: 0.4))
  }

  private func writeAdapter(in folder: String) throws -> String {
    var writer = SafetensorsWriter()
    for layer in 0..<2 {
      let (down, up) = Self.factors(layer)
      let name = "base_model.model." + Self.module(layer)
      writer.add(name + ".lora_A.weight", [Self.rank, Self.hidden], down, as: .float32)
      writer.add(name + ".lora_B.weight", [3 * Self.hidden, Self.rank], up, as: .float32)
    }
    try FileManager.default.createDirectory(atPath: folder + "/adapter", withIntermediateDirectories: true)
    _ = try write(
      #"{"peft_type": "LORA", "r": 3, "lora_alpha": 6, "bias": "none"}"#, to: "adapter/adapter_config.json",
      in: folder)
    _ = try write(writer.bytes(), to: "adapter/adapter_model.safetensors", in: folder)
    return folder + "/adapter"
  }

  /// The model with 2 · B · A, twice as alpha is twice the rank, added to its weights.
  private func writeMerged(in folder: String) throws -> String {
    try FileManager.default.createDirectory(atPath: folder + "/merged", withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: Self.base + "/config.json", toPath: folder + "/merged/config.json")
    let file = try WeightFile.open(Self.base)
    var writer = SafetensorsWriter()
    for name in file.tensorNames {
      let tensor = try file.tensor(name)
      var values = try #require(tensor.floats())
      for layer in 0..<2 where name == Self.module(layer) + ".weight" {
        let (down, up) = Self.factors(layer)
        for index in values.indices {
          let (row, column) = (index / Self.hidden, index % Self.hidden)
          for part in 0..<Self.rank {
            values[index] += 2 * up[row * Self.rank + part] * down[part * Self.hidden + column]
          }
        }
      }
      writer.add(name, tensor.info.shape, values, as: .float32)
    }
    _ = try write(writer.bytes(), to: "merged/model.safetensors", in: folder)
    return folder + "/merged"
  }

  @Test("reach its parts, whichever kind of file the base is", arguments: ["gptneox", "gptneox.gguf"], [1, 16])
  func logits(_ base: String, chunk: Int) throws {
    try withTemporaryDirectory { folder in
      let ids = (0..<24).map { Int32($0 * 7 % 96) }
      let merged = try ModelRunner(writeMerged(in: folder))
      let expected = merged.logits(ids, cache: try merged.makeCache())
      let adapter = try LowRankAdapter(WeightFile.openAdapter(writeAdapter(in: folder)))
      let runner = try ModelRunner(Golden.path(base), adapters: [adapter], chunk: chunk)
      let logits = runner.logits(ids, cache: try runner.makeCache())
      for (row, reference) in zip(logits, expected) { #expect(largestDifference(row, reference) < 1e-4) }
      let plain = try ModelRunner(Golden.path(base))
      let without = plain.logits(ids, cache: try plain.makeCache())
      #expect(largestDifference(without[20], expected[20]) > 0.1, "the adapter changes something")
    }
  }
}
