import KVCaches
import Kernels

/// What many families have in common.
extension LayerGraph {
  /// Queries, keys and values for the heads of a layer.
  mutating func queriesKeysValues(_ x: Value, _ layer: AttentionLayer) -> (queries: Value, keys: Value, values: Value) {
    let width = layer.keyValueHeads * layer.headDim
    let projected = linear(
      x, Matrix("attn_q", rows: layer.queryHeads * layer.headDim), Matrix("attn_k", rows: width),
      Matrix("attn_v", rows: width))
    return (projected[0], projected[1], projected[2])
  }

  /// Attention of a layer whose queries and keys need nothing, or the norms of their heads.
  ///
  /// - Parameters:
  ///   - factors: for each of a head's query dimensions, where only some turn and are stretched
  mutating func selfAttention(
    _ x: Value, _ layer: AttentionLayer, headNorms: Bool = false, factors: [Float]? = nil
  ) -> Value {
    var (queries, keys, values) = queriesKeysValues(x, layer)
    if headNorms {
      queries = headNorm(queries, "attn_q_norm", size: layer.headDim)
      keys = headNorm(keys, "attn_k_norm", size: layer.headDim)
    }
    if let factors { queries = scale(queries, by: factors) }
    return linear(attention(queries, keys, values), "attn_output", rows: x.width)
  }

  /// down · (activation(gate · x) · (up · x)).
  mutating func gatedFeedForward(_ x: Value, _ activation: Activation, rows: Int, suffix: String = "") -> Value {
    let gated = linear(x, Matrix("ffn_gate" + suffix, rows: rows), Matrix("ffn_up" + suffix, rows: rows))
    return linear(self.activation(activation, gated[0], gated[1]), "ffn_down" + suffix, rows: x.width)
  }

  /// down · activation(up · x).
  mutating func feedForward(_ x: Value, _ activation: Activation, rows: Int) -> Value {
    linear(self.activation(activation, linear(x, "ffn_up", rows: rows)), "ffn_down", rows: x.width)
  }

  /// What the experts that a router of one matrix prefers make of a row.
  mutating func routedExperts(_ x: Value, _ experts: Experts) -> Value {
    self.experts(x, scores: linear(x, "ffn_gate_inp", rows: experts.count), experts)
  }
}
