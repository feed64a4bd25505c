import Kernels

/// What layers are made of.
extension ModelMetadata {
  private static var activationKey: Key { Key(huggingFace: "hidden_activation", "hidden_act", "activation") }

  /// What the file calls the feed-forward's activation.
  private var activationName: String? { (try? string(ifPresent: Self.activationKey)) ?? nil }

  /// The feed-forward's activation, by the names of Hugging Face; GGUF implies it.
  func activation(default standard: Activation) throws -> Activation {
    switch try string(ifPresent: Self.activationKey) {
    case nil: standard
    case "silu", "swish": .silu
    case "gelu": .geluErf
    case "gelu_pytorch_tanh", "gelu_new", "gelu_fast": .geluTanh
    case .some(let name): throw unsupported("the activation '\(name)' is not supported")
    }
  }

  /// A norm by the root of the mean square.
  func rootMeanSquareNorm(default standard: Double = 1e-6, weightOffset: Float = 0) throws -> Norm {
    Norm(
      epsilon: try epsilon(
        Key("attention.layer_norm_rms_epsilon", huggingFace: "rms_norm_eps", "norm_eps"), default: standard),
      weightOffset: weightOffset)
  }

  /// A norm by mean and variance.
  func layerNorm() throws -> Norm {
    Norm(
      kind: .layer,
      epsilon: try epsilon(
        Key("attention.layer_norm_epsilon", huggingFace: "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
        default: 1e-5))
  }

  /// A number by which something is multiplied; nil where the file has none.
  func factor(_ key: Key) throws -> Float? {
    guard let factor = try double(ifPresent: key) else { return nil }
    guard factor.isFinite, factor > 0 else {
      throw bad((key.gguf + key.huggingFace)[0], "must be positive, not \(factor)")
    }
    return Float(factor)
  }

  /// A soft cap on logits; files without the key mean the usual one.
  func softCap(_ name: String, default standard: Float) throws -> Float {
    try factor(Key(name, huggingFace: name)) ?? standard
  }

  /// The experts of every layer; nil where there are none.
  func experts(_ sizes: ModelSizes, inner: Int, _ activation: Activation) throws -> Experts? {
    let count = try integer(
      Key("expert_count", huggingFace: "num_local_experts", "num_experts"), default: 0)
    guard count > 0 else { return nil }
    let used = try integer(
      Key("expert_used_count", huggingFace: "num_experts_per_tok", "experts_per_token", "top_k_experts"))
    guard (1...1 << 12).contains(count), (1...count).contains(used), (1...1 << 20).contains(inner) else {
      throw bad("experts", "are impossible: \(used) of \(count), each \(inner) wide")
    }
    return Experts(count: count, used: used, feedForward: inner, activation: activation)
  }

  /// Whether the output matrix is the embedding even if the file holds one.
  func tiesOutput(default standard: Bool = false) throws -> Bool {
    try bool(ifPresent: Key(huggingFace: "tie_word_embeddings")) ?? standard
  }

  /// Refuses any activation but one.
  func require(_ activation: Activation, _ words: String) throws {
    guard try self.activation(default: activation) == activation else {
      throw unsupported("the activation '\(activationName ?? "")' is not supported: this family has \(words)")
    }
  }

  /// The small number under a norm's root.
  func epsilon(_ key: Key, default standard: Double? = nil) throws -> Float {
    let epsilon = try double(key, default: isGGUF ? nil : standard)
    guard epsilon.isFinite, epsilon >= 0 else { throw bad("norm epsilon", "must not be \(epsilon)") }
    return Float(epsilon)
  }

  /// How far a token of a windowed layer sees, itself included; nil where there are no windows.
  func window() throws -> Int? {
    let window = try integer(ifPresent: Key("attention.sliding_window", huggingFace: "sliding_window")) ?? 0
    guard window >= 0, window <= 1 << 30 else { throw bad("sliding window", "must not be \(window) tokens") }
    return window == 0 ? nil : window
  }

  /// Which layers are windowed: `[layer]`.
  ///
  /// - Parameter standardPeriod: every so manieth layer sees everything where the file does not say which do
  func windowedLayers(count: Int, standardPeriod: Int) throws -> [Bool] {
    guard try window() != nil else { return [Bool](repeating: false, count: count) }
    let pattern = Key(
      "attention.sliding_window_pattern", huggingFace: "layer_types", "sliding_window_pattern",
      "_sliding_window_pattern")
    guard isList(pattern) else {
      let period = try integer(pattern, default: standardPeriod)
      guard period > 0 else { throw bad("sliding window pattern", "must be positive, not \(period)") }
      return (0..<count).map { ($0 + 1) % period != 0 }
    }
    let isWindowed =
      isGGUF
      ? try bools(ifPresent: pattern) ?? []
      : try (strings(ifPresent: pattern) ?? []).map { name in
        guard name == "sliding_attention" || name == "full_attention" else {
          throw unsupported("layers of type '\(name)' are not supported")
        }
        return name == "sliding_attention"
      }
    guard isWindowed.count == count else {
      throw bad("sliding window pattern", "names \(isWindowed.count) layers, but there are \(count)")
    }
    return isWindowed
  }
}
