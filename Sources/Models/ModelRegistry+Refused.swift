extension ModelRegistry {
  /// Known architectures that this version does not run, and what they would need.
  static let refused: [String: String] = {
    let latent = "multi-head latent attention"
    let mamba = "layers of the Mamba kind"
    return [
      "deepseek2": latent, "deepseek_v2": latent, "deepseek_v3": latent, "glm4_moe_lite": latent, "minicpm3": latent,
      "nemotron_h": mamba, "nemotron_h_moe": mamba, "granitehybrid": mamba,
      "falcon-h1": mamba, "falcon_h1": mamba, "mamba": mamba, "mamba2": mamba, "jamba": mamba,
      "gemma3n": "alternating updates of several residual streams",
      "qwen3next": "queries, keys and values packed by key head",
      "qwen3_next": "queries, keys and values packed by key head", "kimi-linear": "another linear attention",
      "nemotron": "a squared ReLU", "arcee": "a squared ReLU", "apertus": "an activation with learned numbers (xIELU)",
      "hunyuan-dense": "norms of heads after they have turned",
      "hunyuan_v1_dense": "norms of heads after they have turned", "chatglm": "its converter's order of rotary pairs",
      "llama4": "experts and windows of chunks", "phimoe": "sparse mixing of two experts", "bitnet": "ternary weights",
      "rwkv6": "recurrence without attention", "rwkv7": "recurrence without attention", "t5": "an encoder",
      "bert": "an encoder", "nomic-bert": "an encoder",
    ]
  }()
}
