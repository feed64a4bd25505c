import CacheTestSupport
import Foundation
import KVCaches

/// H2O and TOVA as their authors ran them, in Float64: a prompt with full attention, one eviction at its end, then one token
/// out for every token in. Dictionaries of scores, no slots, no windows (arXiv 2306.14048, algorithm 1; arXiv 2401.06104,
/// section 4).
struct ReferenceWholePrompt {
  /// What is never let go: first and newest tokens.
  struct Protected {
    var first: Int
    var newest: Int
  }

  let sequence: TokenSequence
  /// Tokens kept after each step.
  let budget: Int
  let protected: Protected
  /// Whether only the newest query counts, as in TOVA, and not the sum over all, as in H2O.
  let onlyNewestQuery: Bool
  /// Whether all heads of a layer agree, as in TOVA.
  let isLayerwise: Bool
  /// The score of each token that is held, `[layer][KV head]`.
  private(set) var scores: [[[Int: Double]]]
  private(set) var tokenCount = 0
  /// Rotated to their places, `[layer][token][head]`.
  private let queries: [[[[Double]]]]
  private let keys: [[[[Double]]]]

  init(_ sequence: TokenSequence, budget: Int, protected: Protected, onlyNewestQuery: Bool, isLayerwise: Bool) {
    (self.sequence, self.budget, self.protected) = (sequence, budget, protected)
    (self.onlyNewestQuery, self.isLayerwise) = (onlyNewestQuery, isLayerwise)
    let shape = sequence.shape
    scores = (0..<shape.layers).map { _ in [[Int: Double]](repeating: [:], count: shape.keyValueHeads) }
    let places = { (heads: Int, vector: (Int, Int, Int) -> ArraySlice<Float>) in
      (0..<shape.layers).map { layer in
        (0..<sequence.count).map { token in
          (0..<heads).map { sequence.rotated(vector(layer, token, $0).map { Double($0) }, by: token) }
        }
      }
    }
    queries = places(shape.queryHeads) { sequence.query(layer: $0, token: $1, head: $2) }
    keys = places(shape.keyValueHeads) { sequence.key(layer: $0, token: $1, head: $2) }
  }

  /// The tokens that a head holds, ascending.
  func held(layer: Int, head: Int) -> [Int] { scores[layer][head].keys.sorted() }

  /// Reads tokens that all see everything that is held; nothing goes.
  ///
  /// - Returns: outputs, `[layer][token, query head, headDim]`.
  mutating func read(_ count: Int) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: scores.count)
    for _ in 0..<count {
      for layer in scores.indices { outputs[layer] += attend(layer: layer) }
      tokenCount += 1
    }
    return outputs
  }

  /// Reads tokens one by one, each of which drives one out.
  mutating func decode(_ count: Int) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: scores.count)
    for _ in 0..<count {
      for (layer, output) in read(1).enumerated() { outputs[layer] += output }
      evict()
    }
    return outputs
  }

  /// Lets go what is more than the budget: the lowest scores, but for what is protected.
  mutating func evict() {
    for layer in scores.indices {
      for head in scores[layer].indices {
        let tokens = held(layer: layer, head: head)
        guard tokens.count > budget else { continue }
        let candidates = tokens.dropFirst(protected.first).dropLast(protected.newest)
        let ranked = candidates.sorted { scores[layer][head][$0, default: 0] < scores[layer][head][$1, default: 0] }
        for token in ranked.prefix(tokens.count - budget) { scores[layer][head][token] = nil }
      }
    }
  }

  /// The outputs of the token that comes, which is held from now on; its weights go to the scores.
  private mutating func attend(layer: Int) -> [Float] {
    let shape = sequence.shape
    var outputs: [Float] = []
    var given = [[Int: Double]](repeating: [:], count: shape.keyValueHeads)
    for head in 0..<shape.queryHeads {
      let group = head / shape.groupSize
      let tokens = held(layer: layer, head: group) + [tokenCount]
      let query = queries[layer][tokenCount][head]
      let weights = tokens.map { token in
        exp(zip(query, keys[layer][token][group]).reduce(0) { $0 + $1.0 * $1.1 } / Double(shape.headDim).squareRoot())
      }
      let sum = weights.reduce(0, +)
      var output = [Double](repeating: 0, count: shape.headDim)
      for (token, weight) in zip(tokens, weights) {
        let members = isLayerwise ? shape.queryHeads : shape.groupSize
        for other in isLayerwise ? Array(given.indices) : [group] {
          given[other][token, default: 0] += weight / sum / Double(members)
        }
        for (dim, value) in sequence.value(layer: layer, token: token, head: group).enumerated() {
          output[dim] += weight / sum * Double(value)
        }
      }
      outputs += output.map { Float($0) }
    }
    for group in given.indices {
      for token in held(layer: layer, head: group) + [tokenCount] {
        let before = onlyNewestQuery ? 0 : scores[layer][group][token, default: 0]
        scores[layer][group][token] = before + given[group][token, default: 0]
      }
    }
    return outputs
  }
}
