import KVCaches
import Kernels
import Weights

extension ModelConfiguration {
  /// The numbers of a Llama model from a file's metadata.
  ///
  /// - Throws: `WeightsError` for a missing or mistyped key, `ModelError` for an impossible or unsupported value.
  static func llama(_ file: WeightFile) throws -> ModelConfiguration {
    switch file.format {
    case .gguf: try llamaFromGGUF(file)
    case .huggingFace, .safetensors: try llamaFromHuggingFace(file)
    }
  }

  private static func llamaFromGGUF(_ file: WeightFile) throws -> ModelConfiguration {
    let metadata = file.metadata
    let architecture = try metadata.string("general.architecture")
    let key = { (name: String) in "\(architecture).\(name)" }
    let hidden = try metadata.integer(key("embedding_length"))
    let heads = try metadata.integer(key("attention.head_count"))
    let headDim = try metadata.integer(ifPresent: key("attention.key_length")) ?? hidden / max(heads, 1)
    var configuration = try make(
      file, architecture: architecture, vocabulary: try file.tensor("token_embd.weight").info.shape.first ?? 0,
      hidden: hidden, feedForward: try metadata.integer(key("feed_forward_length")),
      layers: try metadata.integer(key("block_count")), heads: heads,
      keyValueHeads: try metadata.integer(ifPresent: key("attention.head_count_kv")) ?? heads, headDim: headDim,
      trainedLength: try metadata.integer(key("context_length")),
      epsilon: try metadata.double(key("attention.layer_norm_rms_epsilon")))
    let rotaryDim = try metadata.integer(ifPresent: key("rope.dimension_count")) ?? headDim
    var scaling = RotaryScaling.none
    if file.hasTensor("rope_freqs.weight") {
      scaling = .factors(try ropeFactors(file, count: rotaryDim / 2))
    } else if let type = try metadata.string(ifPresent: key("rope.scaling.type")), type != "none" {
      guard type == "linear" else {
        throw ModelError.unsupported("rope scaling '\(type)' is not supported", in: file.path)
      }
      scaling = .linear(factor: try metadata.double(key("rope.scaling.factor")))
    } else if let factor = try metadata.double(ifPresent: key("rope.scale_linear")) {
      scaling = .linear(factor: factor)
    }
    try configuration.setRotary(
      file, dim: rotaryDim, base: try metadata.double(ifPresent: key("rope.freq_base")) ?? 10_000, scaling: scaling,
      layout: .interleaved)
    return configuration
  }

  private static func ropeFactors(_ file: WeightFile, count: Int) throws -> [Double] {
    let tensor = try file.tensor("rope_freqs.weight")
    guard tensor.info.type == .float32, tensor.info.shape == [count] else {
      throw ModelError.badTensor("rope_freqs.weight", expected: [count], got: tensor.info.shape, in: file.path)
    }
    let factors = (0..<count).map { Double(tensor.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)) }
    guard factors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw ModelError.badValue("rope_freqs.weight", "holds a factor that is not positive", in: file.path)
    }
    return factors
  }

  private static func llamaFromHuggingFace(_ file: WeightFile) throws -> ModelConfiguration {
    let metadata = file.metadata
    if let window = try metadata.integer(ifPresent: "sliding_window") {
      throw ModelError.unsupported("a trained sliding window (\(window) tokens) is not supported yet", in: file.path)
    }
    let hidden = try metadata.integer("hidden_size")
    let heads = try metadata.integer("num_attention_heads")
    let headDim = try metadata.integer(ifPresent: "head_dim") ?? hidden / max(heads, 1)
    var configuration = try make(
      file, architecture: try metadata.string("model_type"), vocabulary: try metadata.integer("vocab_size"),
      hidden: hidden, feedForward: try metadata.integer("intermediate_size"),
      layers: try metadata.integer("num_hidden_layers"), heads: heads,
      keyValueHeads: try metadata.integer(ifPresent: "num_key_value_heads") ?? heads, headDim: headDim,
      trainedLength: try metadata.integer("max_position_embeddings"),
      epsilon: try metadata.double(ifPresent: "rms_norm_eps") ?? 1e-6)
    try configuration.setRotary(
      file, dim: headDim,
      base: try metadata.double(ifPresent: "rope_theta") ?? metadata.double(ifPresent: "rope_parameters.rope_theta")
        ?? 10_000,
      scaling: try huggingFaceScaling(file, trainedLength: configuration.trainedLength), layout: .halves)
    return configuration
  }

  private static func huggingFaceScaling(_ file: WeightFile, trainedLength: Int) throws -> RotaryScaling {
    let metadata = file.metadata
    let value = { (name: String) in
      try metadata.double(ifPresent: "rope_scaling.\(name)") ?? metadata.double(ifPresent: "rope_parameters.\(name)")
    }
    let type =
      try metadata.string(ifPresent: "rope_scaling.rope_type") ?? metadata.string(ifPresent: "rope_scaling.type")
      ?? metadata.string(ifPresent: "rope_parameters.rope_type") ?? "default"
    switch type {
    case "default": return .none
    case "linear": return .linear(factor: try value("factor") ?? 1)
    case "llama3":
      return .llama3(
        factor: try value("factor") ?? 8, lowFrequencyFactor: try value("low_freq_factor") ?? 1,
        highFrequencyFactor: try value("high_freq_factor") ?? 4,
        originalLength: try value("original_max_position_embeddings") ?? Double(trainedLength))
    default: throw ModelError.unsupported("rope scaling '\(type)' is not supported", in: file.path)
    }
  }

  /// Checks the numbers once, so that no later product can overflow.
  private static func make(
    _ file: WeightFile, architecture: String, vocabulary: Int, hidden: Int, feedForward: Int, layers: Int, heads: Int,
    keyValueHeads: Int, headDim: Int, trainedLength: Int, epsilon: Double
  ) throws -> ModelConfiguration {
    let limits: [(String, Int, Int)] = [
      ("vocabulary size", vocabulary, 1 << 24), ("hidden size", hidden, 1 << 20),
      ("feed-forward size", feedForward, 1 << 22), ("layers", layers, 1 << 12), ("heads", heads, 1 << 12),
      ("KV heads", keyValueHeads, 1 << 12), ("head size", headDim, 1 << 12), ("context length", trainedLength, 1 << 30),
    ]
    for (name, value, limit) in limits where !(1...limit).contains(value) {
      throw ModelError.badValue(name, "must be from 1 to \(limit), but is \(value)", in: file.path)
    }
    guard layers * keyValueHeads * headDim <= 1 << 28 else {
      throw ModelError.badValue("layers", "(\(layers)) make keys of more than \(1 << 28) values a token", in: file.path)
    }
    guard heads % keyValueHeads == 0 else {
      throw ModelError.badValue("heads", "(\(heads)) must be a multiple of KV heads (\(keyValueHeads))", in: file.path)
    }
    guard headDim % 2 == 0 else {
      throw ModelError.badValue("head size", "must be even, but is \(headDim)", in: file.path)
    }
    guard epsilon.isFinite, epsilon >= 0 else {
      throw ModelError.badValue("norm epsilon", "must not be \(epsilon)", in: file.path)
    }
    return ModelConfiguration(
      architecture: architecture, vocabularySize: vocabulary, hiddenSize: hidden, feedForwardSize: feedForward,
      attention: KVCache.Shape(layers: layers, queryHeads: heads, keyValueHeads: keyValueHeads, headDim: headDim),
      positions: .none, trainedLength: trainedLength, normEpsilon: Float(epsilon))
  }

  private mutating func setRotary(
    _ file: WeightFile, dim: Int, base: Double, scaling: RotaryScaling, layout: RotaryLayout
  ) throws {
    guard dim >= 2, dim % 2 == 0, dim <= attention.headDim else {
      throw ModelError.badValue(
        "rotary dimensions", "must be even and from 2 to \(attention.headDim), not \(dim)", in: file.path)
    }
    guard base.isFinite, base > 0 else {
      throw ModelError.badValue("rope base", "must be positive, not \(base)", in: file.path)
    }
    let frequencies = scaling.apply(to: RotaryEmbedding.frequencies(dim: dim, base: base))
    guard frequencies.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw ModelError.badValue("rope scaling", "gives a frequency that is not positive", in: file.path)
    }
    positions = .rotary(RotaryEmbedding(frequencies: frequencies, layout: layout))
  }
}
