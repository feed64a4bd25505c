/// What a layer of a model remembers, and how it attends to it: all that a memory has to know of it.
///
/// Layers of a model may differ in each of these (Gemma 3: window and rotary base; Gemma 4: heads and head size too; Qwen
/// 3.5: most have a recurrent state and no heads).
package struct AttentionLayer: Sendable, Hashable {
  package var queryHeads: Int
  package var keyValueHeads: Int
  package var headDim: Int
  /// How queries and keys know distances.
  package var positions: PositionEncoding
  /// Those of a memory whose tokens stand farther apart than a short one's; nil where there is no difference.
  package var longPositions: LongPositions?
  /// What the product of a query and a key is multiplied by.
  package var scale: Float
  /// What logits grow by with the place of their query; nil where they do not.
  package var temperature: AttentionTemperature?
  /// c where a scaled logit x becomes c tanh(x / c); nil where it stays as it is.
  package var softCap: Float?
  /// A token sees itself and the `window` - 1 tokens before it, whatever the plan; nil where the plan rules.
  package var window: Int?
  /// Learned sink logits, `[query head]`: each has a weight in its head's softmax and no value.
  package var sinkLogits: [Float]?
  /// Learned gates of a compressive memory, before the sigmoid, `[query head]`.
  package var gates: [Float]?
  /// The earlier layer whose keys and values this one reads, having none of its own; nil where it has its own.
  package var keysOfLayer: Int?
  /// What the layer remembers in place of keys and values; it has no heads then.
  package private(set) var recurrence: Recurrence?

  /// A layer with the usual scale, 1 / sqrt(headDim), and nothing special.
  ///
  /// - Precondition: counts are positive, and query heads a multiple of KV heads.
  package init(queryHeads: Int, keyValueHeads: Int, headDim: Int, positions: PositionEncoding) {
    precondition(queryHeads > 0 && keyValueHeads > 0 && headDim > 0)
    precondition(queryHeads % keyValueHeads == 0, "query heads must be a multiple of KV heads")
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads
    self.headDim = headDim
    self.positions = positions
    scale = 1 / Float(headDim).squareRoot()
  }

  /// A layer that has a recurrent state and does not attend.
  package init(_ recurrence: Recurrence) {
    self.recurrence = recurrence
    (queryHeads, keyValueHeads, headDim, positions, scale) = (0, 0, 0, .none, 1)
  }

  /// Other rotations for long texts (LongRoPE, Ding et al., arXiv 2402.13753).
  ///
  /// Models choose by the length of the text at hand, and would need all keys anew where that grows past the limit. Here a
  /// memory chooses once, by how far apart its plan lets tokens stand.
  package struct LongPositions: Sendable, Hashable {
    package var positions: PositionEncoding
    /// The largest number of positions for which the usual ones hold.
    package var limit: Int

    package init(_ positions: PositionEncoding, beyond limit: Int) {
      self.positions = positions
      self.limit = limit
    }
  }

  /// The layer with the positions that a memory under a plan has.
  func resolved(for plan: KVCache.Plan) -> AttentionLayer {
    guard let long = longPositions else { return self }
    var layer = self
    layer.longPositions = nil
    let reach = window ?? (plan.usesOriginalPositions ? nil : plan.capacity)
    if reach.map({ $0 > long.limit }) ?? true { layer.positions = long.positions }
    return layer
  }

  /// Whether the layer keeps keys and values of its own.
  package var keepsKeys: Bool { recurrence == nil && keysOfLayer == nil }

  /// Query heads that share one KV head.
  package var groupSize: Int { queryHeads / keyValueHeads }
}

extension KVCache.Shape {
  /// The layers of a model in which all are alike.
  package func layers(positions: PositionEncoding) -> [AttentionLayer] {
    let layer = AttentionLayer(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDim: headDim, positions: positions)
    return [AttentionLayer](repeating: layer, count: layers)
  }
}
