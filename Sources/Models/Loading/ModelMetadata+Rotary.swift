import CLibrary
import KVCaches
import Kernels
import Weights

extension ModelMetadata {
  /// Where Hugging Face files say how a rotary embedding is stretched; the first that does counts.
  static var rotaryPlaces: [String] { ["rope_scaling", "rope_parameters.full_attention", "rope_parameters"] }

  /// The rotary embedding of a family that has one kind.
  ///
  /// - Parameters:
  ///   - share: of a head's dimensions, those that turn where a file does not say it
  ///   - scalesQueries: whether the family multiplies queries by `queryFactors`, where only a part of a head is stretched
  ///   - truncates: whether the ramp of YaRN ends at whole pairs where a file does not say it
  func rotaryPositions(
    _ sizes: ModelSizes, layout: RotaryLayout, share: Double = 1, base standardBase: Double = 10_000,
    scalesQueries: Bool = false, truncates: Bool = true
  ) throws -> RotaryPositions {
    let dim = try integer(Key("rope.dimension_count"), default: rotatedDim(of: sizes.headDim, share))
    let base = try double(
      Key(
        "rope.freq_base", huggingFace: "rope_parameters.full_attention.rope_theta", "rope_parameters.rope_theta",
        "rotary_emb_base", "rope_theta"), default: standardBase)
    let scaling = try rotaryScaling(
      dim: dim, trainedLength: sizes.trainedLength, base: base, truncates: truncates)
    guard scalesQueries || dim == sizes.headDim || scaling.magnitude == 1 else {
      throw unsupported("a rotation of a part of a head that is stretched by YaRN or LongRoPE is not supported here")
    }
    return try rotaryPositions(dim: dim, headDim: sizes.headDim, base: base, scaling: scaling, layout: layout)
  }

  private func rotatedDim(of headDim: Int, _ standard: Double) throws -> Int {
    let share = try double(
      Key(
        huggingFace: "rope_parameters.partial_rotary_factor", "partial_rotary_factor", "rotary_pct", "rope_pct"),
      default: standard)
    guard share > 0, share <= 1 else {
      throw bad("partial_rotary_factor", "must be above 0 and at most 1, not \(share)")
    }
    return Int(Double(headDim) * share)
  }

  /// How a model's file says that its rotary embedding is stretched.
  func rotaryScaling(
    dim: Int, trainedLength: Int, base: Double = 10_000, truncates: Bool = true,
    places: [String] = ModelMetadata.rotaryPlaces
  ) throws -> RotaryScaling {
    if isGGUF { return try rotaryScalingOfGGUF(dim: dim, trainedLength: trainedLength, base: base, truncates) }
    func key(_ names: String...) -> Key {
      Key(gguf: [], huggingFace: places.flatMap { place in names.map { "\(place).\($0)" } })
    }
    let original = Key(
      gguf: [],
      huggingFace: places.map { $0 + ".original_max_position_embeddings" } + ["original_max_position_embeddings"])
    switch try string(ifPresent: key("rope_type", "type")) ?? "default" {
    case "default": return .none
    case "linear": return .linear(factor: try double(key("factor"), default: 1))
    case "llama3":
      return .llama3(
        factor: try double(key("factor"), default: 8),
        lowFrequencyFactor: try double(key("low_freq_factor"), default: 1),
        highFrequencyFactor: try double(key("high_freq_factor"), default: 4),
        originalLength: try double(original, default: Double(trainedLength)))
    case "yarn":
      let factor = try double(key("factor"), default: 1)
      let stretch = { (scale: Double) in factor > 1 ? 0.1 * scale * log(factor) + 1 : 1 }
      let (mscale, all) = (try double(ifPresent: key("mscale")), try double(ifPresent: key("mscale_all_dim")))
      var magnitude = stretch(1)
      if let mscale, let all, mscale != 0, all != 0 { magnitude = stretch(mscale) / stretch(all) }
      return try yarn(
        factor: factor, originalLength: double(original, default: Double(trainedLength)),
        fast: double(key("beta_fast"), default: 32), slow: double(key("beta_slow"), default: 1),
        truncates: bool(ifPresent: key("truncate")) ?? truncates, base: base,
        magnitude: double(ifPresent: key("attention_factor")) ?? magnitude)
    case "longrope", "su":
      let originalLength = try integer(original, default: trainedLength)
      let stretch = try double(ifPresent: key("factor")) ?? Double(trainedLength) / Double(originalLength)
      return try long(
        short: doubles(ifPresent: key("short_factor")) ?? [], long: doubles(ifPresent: key("long_factor")) ?? [],
        pairs: dim / 2, originalLength: originalLength, stretch: stretch,
        magnitude: double(ifPresent: key("attention_factor")))
    case let type: throw unsupported("rope scaling '\(type)' is not supported")
    }
  }

  private func rotaryScalingOfGGUF(
    dim: Int, trainedLength: Int, base: Double, _ truncates: Bool
  ) throws -> RotaryScaling {
    if file.hasTensor("rope_freqs.weight") {
      return .factors(
        try ropeFactors("rope_freqs", count: dim / 2),
        then: try stretchOfGGUF(trainedLength: trainedLength, base: base, truncates))
    }
    let original = Key("rope.scaling.original_context_length")
    if file.hasTensor("rope_factors_long.weight") {
      let originalLength = try integer(original, default: trainedLength)
      return try long(
        short: ropeFactors("rope_factors_short", count: dim / 2),
        long: ropeFactors("rope_factors_long", count: dim / 2), pairs: dim / 2, originalLength: originalLength,
        stretch: Double(trainedLength) / Double(originalLength),
        magnitude: double(ifPresent: Key("rope.scaling.attn_factor")))
    }
    return try stretchOfGGUF(trainedLength: trainedLength, base: base, truncates)
  }

  /// What the keys of a GGUF file say, whatever its tensors do; a factor without a type is linear, and 0 is none.
  private func stretchOfGGUF(trainedLength: Int, base: Double, _ truncates: Bool) throws -> RotaryScaling {
    let original = Key("rope.scaling.original_context_length")
    var factor = try double(ifPresent: Key("rope.scaling.factor", "rope.scale_linear"))
    if factor == 0 { factor = nil }
    switch try string(ifPresent: Key("rope.scaling.type")) {
    case "none"?: return .none
    case "linear"?, nil: return factor.map { .linear(factor: $0) } ?? .none
    case "yarn"?:
      let factor = factor ?? 1
      // The logarithmic multiplier stands for `mscale_all_dim`, beside an `mscale` of 1.
      let all = try double(ifPresent: Key("rope.scaling.yarn_log_multiplier")) ?? 0
      let stretch = { (scale: Double) in factor > 1 ? 0.1 * scale * log(factor) + 1 : 1 }
      return try yarn(
        factor: factor, originalLength: double(original, default: Double(trainedLength)),
        fast: double(Key("rope.scaling.yarn_beta_fast"), default: 32),
        slow: double(Key("rope.scaling.yarn_beta_slow"), default: 1), truncates: truncates, base: base,
        magnitude: all == 0 ? stretch(1) : stretch(1) / stretch(all))
    case .some(let type): throw unsupported("rope scaling '\(type)' is not supported")
    }
  }

  private func yarn(
    factor: Double, originalLength: Double, fast: Double, slow: Double, truncates: Bool, base: Double, magnitude: Double
  ) throws -> RotaryScaling {
    let numbers = [factor, originalLength, fast, slow, magnitude]
    guard numbers.allSatisfy({ $0.isFinite && $0 > 0 }), base > 1 else {
      throw bad("rope scaling", "of the type YaRN needs positive numbers")
    }
    return .yarn(
      RotaryScaling.YaRN(
        factor: factor, originalLength: originalLength, fastTurns: fast, slowTurns: slow, truncates: truncates,
        base: base, magnitude: magnitude))
  }

  private func long(
    short: [Double], long: [Double], pairs: Int, originalLength: Int, stretch: Double, magnitude: Double?
  ) throws -> RotaryScaling {
    guard short.count == pairs, long.count == pairs, (short + long).allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw bad("rope scaling", "of the type LongRoPE needs two lists of \(pairs) positive factors")
    }
    guard originalLength > 1 else { throw bad("original length", "must be above 1, not \(originalLength)") }
    let usual = stretch <= 1 ? 1 : (1 + log(stretch) / log(Double(originalLength))).squareRoot()
    return .long(short: short, long: long, originalLength: originalLength, magnitude: magnitude ?? usual)
  }

  private func ropeFactors(_ stem: String, count: Int) throws -> [Double] {
    let name = stem + ".weight"
    let tensor = try file.tensor(name)
    guard tensor.info.type == .float32, tensor.info.shape == [count] else {
      throw ModelError.badTensor(name, expected: [count], got: tensor.info.shape, in: file.path)
    }
    let factors = (tensor.floats() ?? []).map { Double($0) }
    guard factors.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw bad(name, "holds a factor that is not positive")
    }
    return factors
  }

  /// A rotary embedding of the first `dim` of a head's dimensions, checked.
  func rotaryPositions(
    dim: Int, headDim: Int, base: Double, scaling: RotaryScaling, layout: RotaryLayout
  ) throws -> RotaryPositions {
    guard dim >= 2, dim % 2 == 0, dim <= headDim else {
      throw bad("rotary dimensions", "must be even and from 2 to \(headDim), not \(dim)")
    }
    guard base.isFinite, base > 0 else { throw bad("rope base", "must be positive, not \(base)") }
    let plain = RotaryEmbedding.frequencies(dim: dim, base: base)
    func rotary(_ frequencies: [Double]) throws -> PositionEncoding {
      guard frequencies.allSatisfy({ $0.isFinite && $0 >= 0 }), frequencies.contains(where: { $0 > 0 }) else {
        throw bad("rope scaling", "gives a frequency that is not positive")
      }
      return .rotary(RotaryEmbedding(frequencies: frequencies, layout: layout))
    }
    var result = RotaryPositions(positions: try rotary(scaling.apply(to: plain)))
    result.magnitude = scaling.magnitude
    if case .long(_, let factors, let limit, _) = scaling {
      result.long = .init(try rotary(zip(plain, factors).map { $0 / $1 }), beyond: limit)
    }
    return result
  }
}
