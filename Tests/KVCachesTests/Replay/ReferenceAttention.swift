import CacheTestSupport
import Foundation
import KVCaches
import Kernels

/// Streaming attention as the definition says it, in Float64: raw keys of every token, positions inside the cache made
/// anew for every query, a softmax over exactly the attended set (arXiv 2309.17453, section 3.2).
///
/// Knows nothing of slots, rings, chunks or clocks.
struct ReferenceAttention {
  let sequence: TokenSequence
  /// Tokens kept from the start of the stream.
  let sinks: Int
  /// The most tokens attended, the current one included; nil for all.
  let capacity: Int?
  /// Whether sinks stand at the start of the stream, and not just before the other tokens.
  let usesOriginalPositions: Bool
  /// Tokens of a segment, before whose first token nothing is attended; nil where there are none.
  let segment: Int?
  /// Cosine and sine of each rotated pair, `[position][pair]`.
  private let angles: [[(cosine: Double, sine: Double)]]

  init(_ sequence: TokenSequence, plan: KVCache.Plan) {
    self.sequence = sequence
    sinks = plan.stages.reduce(0) { $0 + (($1 as? Sinks)?.count ?? 0) }
    capacity = plan.capacity
    usesOriginalPositions = plan.stages.contains { ($0 as? Sinks)?.distance == .original }
    segment = (plan.stages[0] as? Segment)?.size
    var frequencies: [Double] = []
    if case .rotary(let rotary) = sequence.positions { frequencies = rotary.frequencies }
    angles = (0..<sequence.count).map { position in
      frequencies.map { (cos(Double(position) * $0), sin(Double(position) * $0)) }
    }
  }

  /// The tokens that token `token` attends to, oldest first, itself last; a token's position is its index here.
  func attended(by token: Int) -> [Int] {
    if let segment { return Array(token / segment * segment...token) }
    guard let capacity, token >= capacity else { return Array(0...token) }
    return Array(0..<sinks) + Array(token + 1 - (capacity - sinks)...token)
  }

  /// Outputs of one token, `[query head, headDim]`.
  func output(layer: Int, token: Int) -> [Float] {
    let shape = sequence.shape
    let attended = attended(by: token)
    let places = usesOriginalPositions ? attended : Array(attended.indices)
    var output: [Float] = []
    for keyValueHead in 0..<shape.keyValueHeads {
      let keys = attended.indices.map {
        rotated(sequence.key(layer: layer, token: attended[$0], head: keyValueHead), at: places[$0])
      }
      for head in keyValueHead * shape.groupSize..<(keyValueHead + 1) * shape.groupSize {
        let query = rotated(sequence.query(layer: layer, token: token, head: head), at: places[places.count - 1])
        var logits = keys.indices.map { index in
          var product = 0.0
          for dim in 0..<shape.headDim { product += query[dim] * keys[index][dim] }
          return product / Double(shape.headDim).squareRoot() - slope(head)
            * Double(places[places.count - 1] - places[index])
        }
        if let sink = sequence.sinkLogits?[layer][head] { logits.append(Double(sink)) }
        output += mix(logits, attended, layer: layer, head: keyValueHead)
      }
    }
    return output
  }

  /// Outputs of all tokens, `[layer][token, query head, headDim]`.
  func outputs() -> [[Float]] {
    (0..<sequence.shape.layers).map { layer in
      (0..<sequence.count).flatMap { output(layer: layer, token: $0) }
    }
  }

  /// Values of the attended tokens weighted by the softmax of the logits; logits beyond them have no value.
  func mix(_ logits: [Double], _ attended: [Int], layer: Int, head: Int) -> [Float] {
    let largest = logits.max() ?? 0
    let weights = logits.map { exp($0 - largest) }
    let sum = weights.reduce(0, +)
    var mixed = [Double](repeating: 0, count: sequence.shape.headDim)
    for (weight, token) in zip(weights, attended) {
      for (dim, value) in sequence.value(layer: layer, token: token, head: head).enumerated() {
        mixed[dim] += weight / sum * Double(value)
      }
    }
    return mixed.map { Float($0) }
  }

  func slope(_ head: Int) -> Double {
    if case .linearBias(let slopes) = sequence.positions { Double(slopes[head]) } else { 0 }
  }

  func rotated(_ vector: ArraySlice<Float>, at position: Int) -> [Double] {
    var result = vector.map { Double($0) }
    guard case .rotary(let rotary) = sequence.positions else { return result }
    for (index, angle) in angles[position].enumerated() {
      let (first, second) =
        rotary.layout == .halves ? (index, index + angles[position].count) : (2 * index, 2 * index + 1)
      let (x, y) = (result[first], result[second])
      result[first] = x * angle.cosine - y * angle.sine
      result[second] = x * angle.sine + y * angle.cosine
    }
    return result
  }
}
