import Weights

/// A tensor of a decoder by its role, with the names that the two file families give it.
enum TensorName: Hashable {
  case embedding
  case outputNorm
  case output
  case attentionNorm(Int)
  case query(Int)
  case key(Int)
  case value(Int)
  case attentionOutput(Int)
  case feedForwardNorm(Int)
  case gate(Int)
  case up(Int)
  case down(Int)

  /// Whether the rotary embedding turns what the matrix makes.
  var isRotated: Bool {
    switch self {
    case .query, .key: true
    default: false
    }
  }

  /// The name of the tensor's `weight` or `bias`.
  func text(_ part: String, in format: WeightFile.Format) -> String {
    switch format {
    case .gguf: "\(gguf).\(part)"
    case .huggingFace, .safetensors: "\(huggingFace).\(part)"
    }
  }

  private var gguf: String {
    switch self {
    case .embedding: "token_embd"
    case .outputNorm: "output_norm"
    case .output: "output"
    case .attentionNorm(let layer): "blk.\(layer).attn_norm"
    case .query(let layer): "blk.\(layer).attn_q"
    case .key(let layer): "blk.\(layer).attn_k"
    case .value(let layer): "blk.\(layer).attn_v"
    case .attentionOutput(let layer): "blk.\(layer).attn_output"
    case .feedForwardNorm(let layer): "blk.\(layer).ffn_norm"
    case .gate(let layer): "blk.\(layer).ffn_gate"
    case .up(let layer): "blk.\(layer).ffn_up"
    case .down(let layer): "blk.\(layer).ffn_down"
    }
  }

  private var huggingFace: String {
    switch self {
    case .embedding: "model.embed_tokens"
    case .outputNorm: "model.norm"
    case .output: "lm_head"
    case .attentionNorm(let layer): "model.layers.\(layer).input_layernorm"
    case .query(let layer): "model.layers.\(layer).self_attn.q_proj"
    case .key(let layer): "model.layers.\(layer).self_attn.k_proj"
    case .value(let layer): "model.layers.\(layer).self_attn.v_proj"
    case .attentionOutput(let layer): "model.layers.\(layer).self_attn.o_proj"
    case .feedForwardNorm(let layer): "model.layers.\(layer).post_attention_layernorm"
    case .gate(let layer): "model.layers.\(layer).mlp.gate_proj"
    case .up(let layer): "model.layers.\(layer).mlp.up_proj"
    case .down(let layer): "model.layers.\(layer).mlp.down_proj"
    }
  }
}
