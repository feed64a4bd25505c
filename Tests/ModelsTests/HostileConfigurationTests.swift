import Foundation
import KVCaches
import Models
import TestSupport
import Testing
import Weights

/// Configurations that cannot be run: one line with the file and what is wrong with it.
struct HostileConfigurationTests {
  /// The golden model with a text of its configuration replaced, loaded; nil where that works.
  private func failure(_ model: String, _ old: String, _ new: String) throws -> String? {
    try withTemporaryDirectory { folder in
      let copy = folder + "/model"
      try FileManager.default.copyItem(atPath: Golden.path(model), toPath: copy)
      let config = try String(contentsOfFile: copy + "/config.json", encoding: .utf8)
      try #require(config.contains(old), "\(old)")
      try config.replacing(old, with: new).write(toFile: copy + "/config.json", atomically: true, encoding: .utf8)
      do {
        _ = try ModelRegistry.configuration(of: WeightFile.open(copy))
        return nil
      } catch let error as ModelError {
        #expect(error.description.contains(copy) && !error.description.contains("\n"))
        return error.description
      } catch let error as WeightsError {
        #expect(error.description.contains(copy) && !error.description.contains("\n"))
        return error.description
      }
    }
  }

  private static let cases: [(model: String, old: String, new: String, message: String)] = [
    ("gemma3", "\"sliding_window\": 9", "\"sliding_window\": -9", "-9 tokens"),
    ("gemma3", "\"sliding_window\": 9", "\"sliding_window\": \"wide\"", "sliding_window"),
    ("gemma3", "\"full_attention\",", "\"linear_attention\",", "linear_attention"),
    ("gemma3", "\"full_attention\",", "", "names 6 layers, but there are 7"),
    ("gemma3", "\"query_pre_attn_scalar\": 8", "\"query_pre_attn_scalar\": 0", "query_pre_attn_scalar"),
    ("gemma3", "gelu_pytorch_tanh", "relu2", "relu2"),
    ("gemma3", "gelu_pytorch_tanh", "silu", "GELU"),
    ("gemma3", "\"use_bidirectional_attention\": false", "\"use_bidirectional_attention\": true", "later tokens"),
    ("gemma3", "\"head_dim\": 8", "\"head_dim\": 1048576", "head size"),
    ("gemma3", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", "multiple of KV heads"),
    ("gemma3-images", "\"factor\": 8.0", "\"factor\": 0", "rope scaling"),
    ("gemma3-images", "\"type\": \"linear\"", "\"type\": \"dynamic\"", "dynamic"),
    ("gemma3-images", "\"final_logit_softcapping\": 3.0", "\"final_logit_softcapping\": -3.0", "softcapping"),
    ("gptneox", "\"partial_rotary_factor\": 0.25", "\"partial_rotary_factor\": 1.5", "partial_rotary_factor"),
    ("gptneox", "\"partial_rotary_factor\": 0.25", "\"partial_rotary_factor\": 0.2", "rotary dimensions"),
    (
      "gptneox", "\"rope_type\": \"default\"", "\"rope_type\": \"yarn\", \"factor\": 4",
      "a part of a head that is stretched"
    ),
    ("gptneox", "\"layer_norm_eps\": 1e-05", "\"layer_norm_eps\": -1", "norm epsilon"),
    ("gptneox", "\"hidden_act\": \"gelu\"", "\"hidden_act\": \"mish\"", "mish"),
    ("gptneox", "\"rope_theta\": 10000.0", "\"rope_theta\": 0", "rope base"),
    ("mistral3-growing", "\"llama_4_scaling_beta\": 0.4", "\"llama_4_scaling_beta\": -0.4", "llama_4_scaling_beta"),
    ("mistral3-growing", "\"llama_4_scaling_beta\": 0.4", "\"llama_4_scaling_beta\": 1e999", "too large"),
    (
      "mistral3-growing", "\"original_max_position_embeddings\": 12", "\"original_max_position_embeddings\": 0",
      "rope scaling"
    ),
    ("granite4", "\"full_attention\",", "\"linear_attention\",", "Mamba"),
    ("mistral3-growing", "\"model_type\": \"ministral3\"", "\"model_type\": \"cohere\"", "cohere"),
    ("grouped-tied", "\"hidden_act\": \"silu\"", "\"hidden_act\": \"gelu\"", "SiLU"),
    ("grouped-tied", "\"hidden_size\": 64", "\"num_local_experts\": 8, \"hidden_size\": 64", "experts"),
  ]

  @Test(arguments: cases)
  func `a strange value is named`(model: String, old: String, new: String, message: String) throws {
    let text = try #require(try failure(model, old, new), "\(new) was taken")
    #expect(text.contains(message), "\(text)")
  }

  @Test func `a window of every layer is the trained length`() throws {
    for (window, length) in [("96", 96), ("4096", 256), ("0", 256), ("null", 256)] {
      try withTemporaryDirectory { folder in
        let copy = folder + "/model"
        try FileManager.default.copyItem(atPath: Golden.path("grouped-tied"), toPath: copy)
        let config = try String(contentsOfFile: copy + "/config.json", encoding: .utf8)
          .replacing("\"model_type\": \"llama\"", with: "\"model_type\": \"mistral\", \"sliding_window\": \(window)")
        try config.write(toFile: copy + "/config.json", atomically: true, encoding: .utf8)
        let configuration = try ModelRegistry.configuration(of: WeightFile.open(copy))
        #expect(configuration.trainedLength == length && configuration.architecture == "mistral")
        #expect(configuration.layers.allSatisfy { $0.window == nil })
      }
    }
  }
}
