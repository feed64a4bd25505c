package import KVCaches
import Kernels
import TestSupport

/// Random queries, keys and values of a sequence, as a model of the given shape would hand them over, layer by layer.
package struct TokenSequence {
  package let shape: KVCache.Shape
  package let positions: PositionEncoding
  package let count: Int
  /// `[layer][token, query head, headDim]`
  package private(set) var queries: [[Float]]
  /// `[layer][token, KV head, headDim]`
  package private(set) var keys: [[Float]]
  /// `[layer][token, KV head, headDim]`
  package private(set) var values: [[Float]]
  /// Learned sink logits, `[layer][query head]`, or nil.
  package var sinkLogits: [[Float]]?
  /// Learned gates of a compressive memory, `[layer][query head]`, or nil.
  package var gates: [[Float]]?

  package init(shape: KVCache.Shape, positions: PositionEncoding, count: Int, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    self.shape = shape
    self.positions = positions
    self.count = count
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDim, shape.keyValueHeads * shape.headDim)
    queries = (0..<shape.layers).map { _ in random.normals(count * queryWidth) }
    keys = (0..<shape.layers).map { _ in random.normals(count * keyWidth) }
    values = (0..<shape.layers).map { _ in random.normals(count * keyWidth) }
  }

  /// What attention is in each layer.
  package var layers: [AttentionLayer] {
    var layers = shape.layers(positions: positions)
    for layer in layers.indices {
      (layers[layer].sinkLogits, layers[layer].gates) = (sinkLogits?[layer], gates?[layer])
    }
    return layers
  }

  /// The query of one head, `[headDim]`.
  package func query(layer: Int, token: Int, head: Int) -> ArraySlice<Float> {
    let start = (token * shape.queryHeads + head) * shape.headDim
    return queries[layer][start..<start + shape.headDim]
  }

  /// The key of one KV head, `[headDim]`.
  package func key(layer: Int, token: Int, head: Int) -> ArraySlice<Float> {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    return keys[layer][start..<start + shape.headDim]
  }

  /// The value of one KV head, `[headDim]`.
  package func value(layer: Int, token: Int, head: Int) -> ArraySlice<Float> {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    return values[layer][start..<start + shape.headDim]
  }

  /// Replaces the key of one KV head.
  package mutating func set(key: [Float], layer: Int, token: Int, head: Int) {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    keys[layer].replaceSubrange(start..<start + shape.headDim, with: key)
  }

  /// Replaces the value of one KV head.
  package mutating func set(value: [Float], layer: Int, token: Int, head: Int) {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    values[layer].replaceSubrange(start..<start + shape.headDim, with: value)
  }

  /// Replaces the query of one head.
  package mutating func set(query: [Float], layer: Int, token: Int, head: Int) {
    let start = (token * shape.queryHeads + head) * shape.headDim
    queries[layer].replaceSubrange(start..<start + shape.headDim, with: query)
  }

  /// A vector rotated by so many places, in Float64; as it is without rotary positions.
  package func rotated(_ vector: [Double], by places: Int) -> [Double] {
    guard case .rotary(let rotary) = positions else { return vector }
    return rotaryReference(
      vector, by: places, frequencies: rotary.frequencies, inHalves: rotary.layout == .halves)
  }

  /// Makes the key of one KV head larger or smaller.
  package mutating func scaleKey(layer: Int, token: Int, head: Int, by factor: Float) {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    for index in start..<start + shape.headDim { keys[layer][index] *= factor }
  }

  /// The sequence with a token of all-zero keys and values in front; its queries are zero too.
  package func prependingZeros() -> TokenSequence {
    var longer = TokenSequence(shape: shape, positions: positions, count: count + 1, seed: 0)
    let zeros = { (width: Int) in [Float](repeating: 0, count: width * shape.headDim) }
    longer.queries = queries.map { zeros(shape.queryHeads) + $0 }
    longer.keys = keys.map { zeros(shape.keyValueHeads) + $0 }
    longer.values = values.map { zeros(shape.keyValueHeads) + $0 }
    return longer
  }
}
