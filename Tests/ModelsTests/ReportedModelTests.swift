import Foundation
import KVCaches
import Models
import TestSupport
import Testing
import Weights

/// Files as people have them: what is said in an odd place is heard, and what is missing is named.
struct ReportedModelTests {
  private func configuration(_ change: (inout GGUFWriter) -> Void) throws -> ModelConfiguration {
    try withTemporaryDirectory { folder in
      var writer = TinyModel().writer()
      change(&writer)
      return try ModelRegistry.configuration(of: WeightFile.open(write(writer.bytes(), to: "tiny.gguf", in: folder)))
    }
  }

  private func frequencies(_ change: (inout GGUFWriter) -> Void) throws -> [Double] {
    guard case .rotary(let rotary) = try configuration(change).positions else { return [] }
    return rotary.frequencies
  }

  /// As in llama.cpp: the factor divides angles beside the factors of pairs, and is linear where no type is given.
  @Test func `a rope factor counts without a type and beside the factors of pairs`() throws {
    let plain = try frequencies { _ in }
    let factor = ("llama.rope.scaling.factor", GGUFWriter.Value.float32(4))
    let pairs: [Float] = [1, 2, 4, 8]
    let stretched = zip(plain, pairs).map { $0 / Double($1) }
    let addPairs = { (writer: inout GGUFWriter) in writer.add("rope_freqs.weight", [4], pairs) }
    let type = { (name: String) in ("llama.rope.scaling.type", GGUFWriter.Value.string(name)) }
    let table: [(String, [(String, GGUFWriter.Value)], Bool, [Double])] = [
      ("factor alone", [factor], false, plain.map { $0 / 4 }),
      ("older name", [("llama.rope.scale_linear", .float32(4))], false, plain.map { $0 / 4 }),
      ("linear", [type("linear"), factor], false, plain.map { $0 / 4 }),
      ("none", [type("none"), factor], false, plain),
      ("zero", [("llama.rope.scaling.factor", .float32(0))], false, plain),
      ("pairs alone", [], true, stretched), ("pairs and factor", [factor], true, stretched.map { $0 / 4 }),
      ("pairs, linear", [type("linear"), factor], true, stretched.map { $0 / 4 }),
      ("pairs, none", [type("none"), factor], true, stretched),
    ]
    for (name, keys, hasPairs, expected) in table {
      let found = try frequencies { writer in
        writer.metadata += keys.map { (key: $0.0, value: $0.1) }
        if hasPairs { addPairs(&writer) }
      }
      #expect(zip(found, expected).allSatisfy { abs($0 - $1) <= 1e-12 * $1 } && found.count == 4, "\(name)")
    }
  }

  @Test func `numbers may be written once for each layer`() throws {
    let names = [
      "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv", "context_length",
    ]
    let plain = try configuration { _ in }
    for name in names {
      let changed = try configuration { writer in
        writer.metadata = writer.metadata.map { key, value in
          guard key == "llama." + name, case .uint32(let number) = value else { return (key, value) }
          return (key, .int32s([Int32(number), Int32(number)]))
        }
      }
      #expect(changed.attention == plain.attention && changed.hiddenSize == plain.hiddenSize, "\(name)")
      #expect(changed.feedForwardSize == plain.feedForwardSize && changed.trainedLength == plain.trainedLength)
    }
  }

  @Test func `an activation that is not the family's is named`() throws {
    try withTemporaryDirectory { folder in
      let copy = folder + "/model"
      try FileManager.default.copyItem(atPath: Golden.path("grouped-tied"), toPath: copy)
      let plain = try String(contentsOfFile: copy + "/config.json", encoding: .utf8)
      for name in ["relu", "gelu", "quick_gelu"] {
        let config = plain.replacing(/"hidden_act": "[a-z]*"/, with: "\"hidden_act\": \"\(name)\"")
        #expect(config != plain)
        try config.write(toFile: copy + "/config.json", atomically: true, encoding: .utf8)
        let error = try #require(throws: ModelError.self) { try ModelRegistry.configuration(of: WeightFile.open(copy)) }
        #expect(error.description.contains("'\(name)'"), "\(error)")
      }
    }
  }

  /// Without its matrix the model would write noise from its embedding.
  @Test func `an output matrix that is neither there nor tied is named`() throws {
    try withTemporaryDirectory { folder in
      let copy = folder + "/model"
      try FileManager.default.copyItem(atPath: Golden.path("grouped-tied"), toPath: copy)
      let config = try String(contentsOfFile: copy + "/config.json", encoding: .utf8)
        .replacing("\"tie_word_embeddings\": true", with: "\"tie_word_embeddings\": false")
      try config.write(toFile: copy + "/config.json", atomically: true, encoding: .utf8)
      let error = try #require(throws: ModelError.self) { try ModelRunner(copy) }
      #expect(error.description.contains("tensor 'lm_head.weight' is missing"), "\(error)")
    }
  }
}
