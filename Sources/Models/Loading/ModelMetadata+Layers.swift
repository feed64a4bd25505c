import Kernels

/// What layers are made of.
extension ModelMetadata {
  /// The feed-forward's activation, by the names of Hugging Face; GGUF implies it.
  func activation(default standard: Activation) throws -> Activation {
    switch try string(ifPresent: Key(huggingFace: "hidden_activation", "hidden_act")) {
    case nil: standard
    case "silu", "swish": .silu
    case "gelu": .geluErf
    case "gelu_pytorch_tanh", "gelu_new", "gelu_fast": .geluTanh
    case .some(let name): throw unsupported("the activation '\(name)' is not supported")
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
