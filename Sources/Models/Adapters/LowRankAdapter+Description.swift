import Weights

extension LowRankAdapter.Strength {
  /// Reads what `adapter_config.json` of PEFT says; everything that changes more than low-rank terms is refused by name.
  static func peft(_ file: WeightFile) throws -> Self {
    let metadata = file.metadata
    let refuse = { (what: String) in ModelError.unsupported("an adapter with \(what) is not supported", in: file.path) }
    let type = try metadata.string("peft_type")
    guard type == "LORA" else { throw refuse("peft_type '\(type)'") }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"] {
      if try metadata.bool(ifPresent: key) == true { throw refuse(key) }
    }
    if let bias = try metadata.string(ifPresent: "bias"), bias != "none" { throw refuse("bias '\(bias)'") }
    let lists = [
      "modules_to_save", "layer_replication", "target_parameters", "trainable_token_indices", "alora_invocation_tokens",
    ]
    for key in lists where metadata.contains(key) && metadata.count(ofArray: key) != 0 { throw refuse(key) }
    // These begin by taking the adapter's first state out of the base model's weights.
    if let start = try? metadata.string(ifPresent: "init_lora_weights"),
      ["pissa", "corda", "olora"].contains(where: { start.lowercased().hasPrefix($0) })
    {
      throw refuse("init_lora_weights '\(start)'")
    }
    let alphas = try metadata.namedDoubles(ifPresent: "alpha_pattern") ?? []
    for (name, alpha) in alphas {
      // A dot, which stands for any character, is taken as itself: module names are full of them.
      guard !name.isEmpty, !name.contains(where: { "^$*+?()[]{}|\\".contains($0) }) else {
        throw refuse("the regular expression '\(name)' in alpha_pattern")
      }
      try checkAlpha(alpha, key: "alpha_pattern", file)
    }
    let alpha = try metadata.double("lora_alpha")
    try checkAlpha(alpha, key: "lora_alpha", file)
    return Self(alpha: alpha, alphas: alphas, dividesByRoot: try metadata.bool(ifPresent: "use_rslora") ?? false)
  }

  /// Reads what a GGUF adapter says of itself; an alpha of 0, or none, stands for a factor of 1.
  static func gguf(_ file: WeightFile) throws -> Self {
    let metadata = file.metadata
    let type = try metadata.string(ifPresent: "general.type") ?? "model"
    guard type == "adapter" else { throw ModelError.unsupported("is no adapter, but a \(type)", in: file.path) }
    let kind = try metadata.string("adapter.type")
    guard kind == "lora" else {
      throw ModelError.unsupported("an adapter of type '\(kind)' is not supported", in: file.path)
    }
    if metadata.contains("adapter.alora.invocation_tokens") {
      throw ModelError.unsupported("an adapter with adapter.alora.invocation_tokens is not supported", in: file.path)
    }
    let alpha = try metadata.double(ifPresent: "adapter.lora.alpha") ?? 0
    try checkAlpha(alpha, key: "adapter.lora.alpha", file)
    return Self(alpha: alpha == 0 ? nil : alpha)
  }

  private static func checkAlpha(_ alpha: Double, key: String, _ file: WeightFile) throws {
    guard alpha.isFinite else { throw ModelError.badValue(key, "must be finite, but is \(alpha)", in: file.path) }
  }
}
