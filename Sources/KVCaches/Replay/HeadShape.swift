/// Heads of one layer and their size: what buffers of a replay depend on.
struct HeadShape: Sendable, Hashable {
  let queryHeads: Int
  let keyValueHeads: Int
  let headDim: Int

  init(_ layer: AttentionLayer) {
    (queryHeads, keyValueHeads, headDim) = (layer.queryHeads, layer.keyValueHeads, layer.headDim)
  }

  /// Query heads that share one KV head.
  var groupSize: Int { queryHeads / keyValueHeads }

  /// Tokens that are attended with at once; with the group's heads they fill a kernel's tile.
  var tileTokens: Int { max(1, 96 / groupSize) }
}
