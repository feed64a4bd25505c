/// What a model asks of its memory, local or remote alike.
///
/// For each layer a model calls `begin` with the queries as soon as it has them, so that memory elsewhere can start
/// to attend, and `finish` with the keys and values of the same tokens. Queries and keys come without positions: the
/// memory knows where in the cache they stand.
package protocol AttentionService {
  /// Hands over the queries of one layer, `[token, query head, headDim]`.
  func begin(layer: Int, queries: UnsafePointer<Float>)

  /// Attends, takes the new keys and values in, and writes the result.
  ///
  /// - Parameters:
  ///   - keys: `[token, KV head, headDim]`
  ///   - values: `[token, KV head, headDim]`
  ///   - sinkLogits: learned sink logits, `[query head]`, or nil
  ///   - output: `[token, query head, headDim]`
  func finish(
    layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, sinkLogits: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>)
}
