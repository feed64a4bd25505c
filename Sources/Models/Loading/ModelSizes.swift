import KVCaches
import Weights

/// The numbers that every family has.
struct ModelSizes {
  let vocabulary: Int
  let hidden: Int
  let feedForward: Int
  let layers: Int
  let heads: Int
  let keyValueHeads: Int
  let headDim: Int
  var trainedLength: Int

  var queryWidth: Int { heads * headDim }
  var keyWidth: Int { keyValueHeads * headDim }

  /// A layer of these heads.
  func layer(positions: PositionEncoding = .none) -> AttentionLayer {
    AttentionLayer(queryHeads: heads, keyValueHeads: keyValueHeads, headDim: headDim, positions: positions)
  }

  /// A model of these layers.
  ///
  /// Where every layer is windowed, no layer is left for a plan: the widest window is what the model was trained to see.
  func configuration(
    _ architecture: String, layers: [AttentionLayer], experts: Experts? = nil
  ) -> ModelConfiguration {
    var (layers, length) = (layers, trainedLength)
    let windows = layers.filter(\.keepsKeys).map(\.window)
    if let widest = windows.compactMap(\.self).max(), !windows.contains(nil) {
      length = min(length, widest)
      for index in layers.indices { layers[index].window = nil }
    }
    return ModelConfiguration(
      architecture: architecture, vocabularySize: vocabulary, hiddenSize: hidden, feedForwardSize: feedForward,
      layers: layers, trainedLength: length, experts: experts.map { .init(count: $0.count, used: $0.used) })
  }

  /// - Throws: `ModelError` for a size that is impossible or would overflow a product.
  func check(in file: WeightFile) throws {
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
  }
}

extension ModelMetadata {
  /// The numbers that every family has, checked once, so that no later product can overflow.
  ///
  /// Where a file gives a number for each layer, it is the largest.
  func sizes(
    heads: Int? = nil, keyValueHeads: Int? = nil, headDim: Int? = nil, feedForward: Int? = nil,
    trainedLength: Int? = nil
  ) throws -> ModelSizes {
    let hidden = try integer(Key("embedding_length", huggingFace: "hidden_size", "d_model"))
    let heads = try largest(
      Key("attention.head_count", huggingFace: "num_attention_heads", "n_head", "n_heads"), default: heads)
    let headDim =
      try integer(ifPresent: Key("attention.key_length", huggingFace: "head_dim")) ?? headDim ?? hidden / max(heads, 1)
    let sizes = ModelSizes(
      vocabulary: try integer(ifPresent: Key(huggingFace: "vocab_size")) ?? embeddingRows(), hidden: hidden,
      feedForward: try largest(
        Key("feed_forward_length", huggingFace: "intermediate_size", "ffn_hidden_size"), default: feedForward),
      layers: try integer(Key("block_count", huggingFace: "num_hidden_layers", "n_layer", "n_layers")), heads: heads,
      keyValueHeads: try keyValueHeads
        ?? largest(Key("attention.head_count_kv", huggingFace: "num_key_value_heads"), default: heads),
      headDim: headDim,
      trainedLength: try integer(
        Key("context_length", huggingFace: "max_position_embeddings", "max_seq_len"), default: trainedLength))
    try sizes.check(in: file)
    return sizes
  }

  private func embeddingRows() throws -> Int {
    let name =
      isGGUF
      ? "token_embd.weight"
      : file.tensorNames.first {
        $0.hasSuffix("embed_tokens.weight") || $0.hasSuffix("word_embeddings.weight")
      }
    return try file.tensor(name ?? "embed_tokens.weight").info.shape.first ?? 0
  }
}
