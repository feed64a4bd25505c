import KVCaches
import Kernels

extension ModelMetadata {
  /// What a Gemma 4 remembers in each layer; the last ones may read the keys of the last earlier layer of their kind.
  func layersOfGemma4(_ sizes: ModelSizes) throws -> [AttentionLayer] {
    let count = sizes.layers
    let shared = try sharedLayersOfGemma4(of: count)
    let isLocal = try windowedLayers(count: count, standardPeriod: 6)
    let window = try window()
    let headDims = try headDimsOfGemma4(sizes, isLocal)
    let keyValueHeads = try keyValueHeadsOfGemma4(sizes, isLocal)
    var layers: [AttentionLayer] = []
    for index in 0..<count {
      let (dim, heads) = (headDims[index], keyValueHeads[index])
      guard dim > 0, dim <= 4096, dim % 2 == 0, heads > 0, sizes.heads % heads == 0 else {
        throw bad("heads", "of layer \(index) are impossible: \(sizes.heads) for \(heads) KV heads of \(dim)")
      }
      var layer = AttentionLayer(
        queryHeads: sizes.heads, keyValueHeads: heads, headDim: dim,
        positions: try positionsOfGemma4(headDim: dim, isLocal: isLocal[index], sizes))
      layer.scale = 1
      layer.window = isLocal[index] ? window : nil
      if index >= count - shared {
        layer.keysOfLayer = isLocal[..<(count - shared)].lastIndex(of: isLocal[index])
        guard layer.keysOfLayer != nil else {
          throw bad("shared_kv_layers", "leaves layer \(index) without an earlier one of its kind")
        }
      }
      layers.append(layer)
    }
    return layers
  }

  /// How wide each layer's feed-forward is: twice as wide, in some files, where keys are shared.
  func feedForwardOfGemma4(layers count: Int) throws -> [Int] {
    var widths = try integers(Key("feed_forward_length", huggingFace: "intermediate_size"), layers: count)
    guard try bool(ifPresent: Key(huggingFace: "use_double_wide_mlp")) ?? false else { return widths }
    for index in widths.indices.suffix(try sharedLayersOfGemma4(of: count)) { widths[index] *= 2 }
    return widths
  }

  private func sharedLayersOfGemma4(of count: Int) throws -> Int {
    let shared = try integer(Key("attention.shared_kv_layers", huggingFace: "num_kv_shared_layers"), default: 0)
    guard (0..<count).contains(shared) else {
      throw bad("shared_kv_layers", "must be from 0 to \(count - 1), not \(shared)")
    }
    return shared
  }

  private func headDimsOfGemma4(_ sizes: ModelSizes, _ isLocal: [Bool]) throws -> [Int] {
    let global = try integer(ifPresent: Key("attention.key_length", huggingFace: "global_head_dim"))
    let local = try integer(ifPresent: Key("attention.key_length_swa", huggingFace: "head_dim"))
    return try isLocal.enumerated().map { index, isLocal in
      let own = try integer(ifPresent: Key(huggingFace: "per_layer_config.\(index).head_dim"))
      return own ?? (isLocal ? local : global) ?? local ?? sizes.headDim
    }
  }

  private func keyValueHeadsOfGemma4(_ sizes: ModelSizes, _ isLocal: [Bool]) throws -> [Int] {
    if isGGUF { return try integers(Key("attention.head_count_kv"), layers: isLocal.count) }
    let global = try integer(ifPresent: Key(huggingFace: "num_global_key_value_heads"))
    return try isLocal.enumerated().map { index, isLocal in
      let own = try integer(ifPresent: Key(huggingFace: "per_layer_config.\(index).num_key_value_heads"))
      return own ?? (isLocal ? nil : global) ?? sizes.keyValueHeads
    }
  }

  /// Layers that see everything turn the first pairs of a head as if all of it turned, and the rest not at all.
  private func positionsOfGemma4(headDim: Int, isLocal: Bool, _ sizes: ModelSizes) throws -> PositionEncoding {
    if isLocal {
      let base = try double(
        Key("rope.freq_base_swa", huggingFace: "rope_parameters.sliding_attention.rope_theta"), default: 10_000)
      return try rotaryPositions(dim: headDim, headDim: headDim, base: base, scaling: .none, layout: .halves).positions
    }
    let base = try double(
      Key("rope.freq_base", huggingFace: "rope_parameters.full_attention.rope_theta"), default: 1_000_000)
    var scaling = RotaryScaling.none
    if isGGUF {
      scaling = try rotaryScaling(dim: headDim, trainedLength: sizes.trainedLength)
    } else {
      let share = try double(
        Key(huggingFace: "rope_parameters.full_attention.partial_rotary_factor"), default: 0.25)
      guard share > 0, share <= 1 else { throw bad("partial_rotary_factor", "must be above 0 and at most 1") }
      let turning = Int(share * Double(headDim)) / 2
      scaling = .factors((0..<headDim / 2).map { $0 < turning ? 1 : .infinity })
    }
    return try rotaryPositions(dim: headDim, headDim: headDim, base: base, scaling: scaling, layout: .halves).positions
  }
}
