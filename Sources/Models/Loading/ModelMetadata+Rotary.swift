import KVCaches
import Kernels
import Weights

extension ModelMetadata {
  /// How a model's file says that its rotary embedding is stretched.
  ///
  /// - Parameter places: where Hugging Face files may say it, the first that does counts
  func rotaryScaling(
    dim: Int, trainedLength: Int, places: [String] = ["rope_scaling", "rope_parameters"]
  ) throws -> RotaryScaling {
    if isGGUF { return try rotaryScalingOfGGUF(dim: dim) }
    func key(_ names: String...) -> Key {
      Key(gguf: [], huggingFace: places.flatMap { place in names.map { "\(place).\($0)" } })
    }
    switch try string(ifPresent: key("rope_type", "type")) ?? "default" {
    case "default": return .none
    case "linear": return .linear(factor: try double(key("factor"), default: 1))
    case "llama3":
      return .llama3(
        factor: try double(key("factor"), default: 8),
        lowFrequencyFactor: try double(key("low_freq_factor"), default: 1),
        highFrequencyFactor: try double(key("high_freq_factor"), default: 4),
        originalLength: try double(key("original_max_position_embeddings"), default: Double(trainedLength)))
    case let type: throw unsupported("rope scaling '\(type)' is not supported")
    }
  }

  private func rotaryScalingOfGGUF(dim: Int) throws -> RotaryScaling {
    if file.hasTensor("rope_freqs.weight") { return .factors(try ropeFactors(count: dim / 2)) }
    let factor = Key("rope.scaling.factor")
    if let type = try string(ifPresent: Key("rope.scaling.type")), type != "none" {
      guard type == "linear" else { throw unsupported("rope scaling '\(type)' is not supported") }
      return .linear(factor: try double(factor))
    }
    return try double(ifPresent: Key("rope.scale_linear")).map { .linear(factor: $0) } ?? .none
  }

  private func ropeFactors(count: Int) throws -> [Double] {
    let tensor = try file.tensor("rope_freqs.weight")
    guard tensor.info.type == .float32, tensor.info.shape == [count] else {
      throw ModelError.badTensor("rope_freqs.weight", expected: [count], got: tensor.info.shape, in: file.path)
    }
    let factors = (tensor.floats() ?? []).map { Double($0) }
    guard factors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw bad("rope_freqs.weight", "holds a factor that is not positive")
    }
    return factors
  }

  /// A rotary embedding of the first `dim` of a head's dimensions, checked.
  func rotary(
    dim: Int, headDim: Int, base: Double, scaling: RotaryScaling, layout: RotaryLayout
  ) throws -> PositionEncoding {
    guard dim >= 2, dim % 2 == 0, dim <= headDim else {
      throw bad("rotary dimensions", "must be even and from 2 to \(headDim), not \(dim)")
    }
    guard base.isFinite, base > 0 else { throw bad("rope base", "must be positive, not \(base)") }
    let frequencies = scaling.apply(to: RotaryEmbedding.frequencies(dim: dim, base: base))
    guard frequencies.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw bad("rope scaling", "gives a frequency that is not positive")
    }
    return .rotary(RotaryEmbedding(frequencies: frequencies, layout: layout))
  }
}
