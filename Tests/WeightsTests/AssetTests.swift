import Foundation
import TestSupport
import Testing
import Weights

/// Files that other programs wrote.
@Suite(.enabled(if: Assets.available, Comment(rawValue: Assets.missing)))
struct AssetTests {
  @Test func opensARandomLlama() throws {
    let path = Assets.path("models/llama-2-tiny-random.gguf")
    #expect(examine(path, path).errors.isEmpty)
    let model = try WeightFile.open(path)
    #expect(model.format == .gguf(version: 3))
    #expect(try model.metadata.string("general.architecture") == "llama")
    let rows = try #require(model.metadata.count(ofArray: "tokenizer.ggml.tokens"))
    let columns = try model.metadata.integer("llama.embedding_length")
    #expect(try model.tensor("token_embd.weight").info.shape == [rows, columns])
    #expect(try model.tensor("output_norm.weight").floats()?.allSatisfy(\.isFinite) == true)
  }

  @Test func opensAHuggingFaceDirectory() throws {
    let path = Assets.path("models/tinystories-656k")
    #expect(examine(path, path).errors.isEmpty)
    let model = try WeightFile.open(path)
    #expect(model.format == .huggingFace)
    #expect(try model.metadata.integer("num_hidden_layers") == 2)
    #expect(model.tokenizerJSONPath != nil && model.tokenizerConfigJSONPath != nil)
    let embedding = try model.tensor("model.embed_tokens.weight")
    #expect(embedding.info.shape == [2048, 128])
    #expect(embedding.floats()?.allSatisfy(\.isFinite) == true)
    for layer in 0..<2 {
      #expect(try model.tensor("model.layers.\(layer).self_attn.k_proj.weight").info.shape == [64, 128])
    }
  }

  @Test func opensAnAdapterWithoutAConfiguration() throws {
    let path = Assets.path("adapters/recall/adapter_model.safetensors")
    #expect(examine(path, path).errors.isEmpty)
    #expect(try WeightFile.open(path).format == .safetensors)
  }

  @Test func opensEveryVocabulary() throws {
    let folder = Assets.path("tokenizers/ggml-vocab")
    let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".gguf") }.sorted()
    #expect(names.count >= 10)
    for name in names {
      #expect(examine(folder + "/" + name, name).errors.isEmpty)
      let metadata = try WeightFile.open(folder + "/" + name).metadata
      let tokens = try metadata.strings("tokenizer.ggml.tokens")
      #expect(tokens.count > 1000)
      #expect(try metadata.integers("tokenizer.ggml.token_type").count == tokens.count)
      #expect(try metadata.string("tokenizer.ggml.model").isEmpty == false)
    }
  }
}
