import KVCaches
import Models
import Testing
import Weights

/// Which of the tiny models of all families have matrices of several in one tensor, or images.
struct FileNoticeTests {
  @Test(
    arguments: [
      ("qwen2.gguf", nil), ("gemma3.gguf", nil), ("gpt-oss.gguf", nil), ("phi3.gguf", "attn_qkv, ffn_up"),
      ("phi3", "qkv_proj, gate_up_proj"), ("falcon.gguf", "attn_qkv"), ("falcon", "query_key_value"),
      ("gptneox", "query_key_value"), ("mpt.gguf", "attn_qkv"), ("mpt", "Wqkv"),
    ] as [(String, String?)])
  func `fused matrices are named`(name: String, fused: String?) throws {
    let notices = try ModelRegistry.notices(of: WeightFile.open(Golden.path(name)))
    #expect(notices == (fused.map { ["fused matrices are read as separate ones: \($0)"] } ?? []), "\(name)")
  }

  @Test func `learned sinks are known without the weights`() throws {
    for name in ["gpt-oss.gguf", "gpt-oss"] {
      let configuration = try ModelRegistry.configuration(of: WeightFile.open(Golden.path(name)))
      #expect(configuration.layers.allSatisfy { $0.sinkLogits?.count == $0.queryHeads }, "\(name)")
    }
    let plain = try ModelRegistry.configuration(of: WeightFile.open(Golden.path("qwen2.gguf")))
    #expect(plain.layers.allSatisfy { $0.sinkLogits == nil })
  }
}
