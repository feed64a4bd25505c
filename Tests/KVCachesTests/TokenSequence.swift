import Foundation
import KVCaches
import Kernels
import TestSupport

/// Random queries, keys and values of a sequence, as a model of the given shape would hand them over, layer by layer.
struct TokenSequence {
  let shape: KVCache.Shape
  let positions: PositionEncoding
  let count: Int
  /// `[layer][token, query head, headDim]`
  private(set) var queries: [[Float]]
  /// `[layer][token, KV head, headDim]`
  private(set) var keys: [[Float]]
  /// `[layer][token, KV head, headDim]`
  private(set) var values: [[Float]]
  /// Learned sink logits, `[layer][query head]`, or nil.
  var sinkLogits: [[Float]]?

  init(shape: KVCache.Shape, positions: PositionEncoding, count: Int, seed: UInt64) {
    var random = SplitMix64(seed: seed)
    self.shape = shape
    self.positions = positions
    self.count = count
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDim, shape.keyValueHeads * shape.headDim)
    queries = (0..<shape.layers).map { _ in random.normals(count * queryWidth) }
    keys = (0..<shape.layers).map { _ in random.normals(count * keyWidth) }
    values = (0..<shape.layers).map { _ in random.normals(count * keyWidth) }
  }

  /// The query of one head, `[headDim]`.
  func query(layer: Int, token: Int, head: Int) -> ArraySlice<Float> {
    let start = (token * shape.queryHeads + head) * shape.headDim
    return queries[layer][start..<start + shape.headDim]
  }

  /// The key of one KV head, `[headDim]`.
  func key(layer: Int, token: Int, head: Int) -> ArraySlice<Float> {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    return keys[layer][start..<start + shape.headDim]
  }

  /// The value of one KV head, `[headDim]`.
  func value(layer: Int, token: Int, head: Int) -> ArraySlice<Float> {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    return values[layer][start..<start + shape.headDim]
  }

  /// Replaces the key of one KV head.
  mutating func set(key: [Float], layer: Int, token: Int, head: Int) {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    keys[layer].replaceSubrange(start..<start + shape.headDim, with: key)
  }

  /// Replaces the value of one KV head.
  mutating func set(value: [Float], layer: Int, token: Int, head: Int) {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    values[layer].replaceSubrange(start..<start + shape.headDim, with: value)
  }

  /// Replaces the query of one head.
  mutating func set(query: [Float], layer: Int, token: Int, head: Int) {
    let start = (token * shape.queryHeads + head) * shape.headDim
    queries[layer].replaceSubrange(start..<start + shape.headDim, with: query)
  }

  /// A vector rotated by so many places, in Float64; as it is without rotary positions.
  func rotated(_ vector: [Double], by places: Int) -> [Double] {
    guard case .rotary(let rotary) = positions else { return vector }
    return rotaryReference(
      vector, by: places, frequencies: rotary.frequencies, inHalves: rotary.layout == .halves)
  }

  /// Makes the key of one KV head larger or smaller.
  mutating func scaleKey(layer: Int, token: Int, head: Int, by factor: Float) {
    let start = (token * shape.keyValueHeads + head) * shape.headDim
    for index in start..<start + shape.headDim { keys[layer][index] *= factor }
  }

  /// The sequence with a token of all-zero keys and values in front; its queries are zero too.
  func prependingZeros() -> TokenSequence {
    var longer = TokenSequence(shape: shape, positions: positions, count: count + 1, seed: 0)
    let zeros = { (width: Int) in [Float](repeating: 0, count: width * shape.headDim) }
    longer.queries = queries.map { zeros(shape.queryHeads) + $0 }
    longer.keys = keys.map { zeros(shape.keyValueHeads) + $0 }
    longer.values = values.map { zeros(shape.keyValueHeads) + $0 }
    return longer
  }
}

/// How the tokens of a sequence are cut into steps.
enum Chunking: Sendable, CustomStringConvertible {
  case ones
  case random(largest: Int, seed: UInt64)
  case sizes([Int])
  case whole

  var description: String {
    switch self {
    case .ones: "one by one"
    case .random(let largest, let seed): "random chunks up to \(largest), seed \(seed)"
    case .sizes(let sizes): "chunks \(sizes)"
    case .whole: "one chunk"
    }
  }

  /// The sizes of chunks, of `count` tokens together; the last size of a list repeats.
  func sizes(_ count: Int) -> [Int] {
    var left = count
    var sizes: [Int] = []
    var random = SplitMix64(seed: 1)
    if case .random(_, let seed) = self { random = SplitMix64(seed: seed) }
    while left > 0 {
      let wanted =
        switch self {
        case .ones: 1
        case .whole: count
        case .random(let largest, _): Int.random(in: 1...largest, using: &random)
        case .sizes(let list): sizes.count < list.count ? list[sizes.count] : list.last ?? 1
        }
      sizes.append(min(wanted, left))
      left -= sizes.last ?? 0
    }
    return sizes
  }
}

extension LocalAttention {
  /// Drives one step of a sequence through all layers: tokens `tokens` of `sequence`, against `cache`.
  ///
  /// - Returns: outputs, `[layer][token of the step, query head, headDim]`.
  func step(_ cache: KVCache, _ sequence: TokenSequence, tokens: Range<Int>) -> [[Float]] {
    let shape = sequence.shape
    beginStep([Segment(cache: cache, rows: 0..<tokens.count)])
    return (0..<shape.layers).map { layer in
      var output = [Float](repeating: .nan, count: tokens.count * shape.queryHeads * shape.headDim)
      let queryOffset = tokens.lowerBound * shape.queryHeads * shape.headDim
      let keyOffset = tokens.lowerBound * shape.keyValueHeads * shape.headDim
      sequence.queries[layer].withUnsafeBufferPointer { queries in
        sequence.keys[layer].withUnsafeBufferPointer { keys in
          sequence.values[layer].withUnsafeBufferPointer { values in
            begin(layer: layer, queries: queries.baseAddress! + queryOffset)
            let logits = sequence.sinkLogits?[layer] ?? []
            logits.withUnsafeBufferPointer { logits in
              finish(
                layer: layer, keys: keys.baseAddress! + keyOffset, values: values.baseAddress! + keyOffset,
                sinkLogits: sequence.sinkLogits == nil ? nil : logits.baseAddress, output: &output)
            }
          }
        }
      }
      return output
    }
  }

  /// Drives tokens `tokens` of a sequence through all layers, cut as `chunking` says and the cache admits.
  ///
  /// - Returns: outputs, `[layer][token, query head, headDim]`.
  func run(
    _ cache: KVCache, _ sequence: TokenSequence, tokens: Range<Int>, chunking: Chunking,
    afterStep: (Int) -> Void = { _ in }
  ) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: sequence.shape.layers)
    var next = tokens.lowerBound
    for size in chunking.sizes(tokens.count) {
      let end = next + size
      while next < end {
        let admitted = cache.admissibleChunk(end - next)
        for (layer, output) in step(cache, sequence, tokens: next..<next + admitted).enumerated() {
          outputs[layer] += output
        }
        next += admitted
        afterStep(next)
      }
    }
    return outputs
  }
}
