import CacheTestSupport
import Foundation
import KVCaches
import Kernels

/// A cache that keeps centers of a prompt's keys, as the definition says it, in Float64 lists: farthest first from the
/// oldest token behind the sinks on, counts that are carried from one compression to the next, an explicit softmax.
struct ReferenceCenters {
  /// What stands for some tokens.
  struct Entry {
    let key: [Double]
    let value: [Double]
    var count: Double
    let token: Int
  }

  let sequence: TokenSequence
  /// Tokens kept, those of them that are the newest, and those that are the oldest.
  let size: Int
  let window: Int
  let sinks: Int
  /// After how many more tokens centers are chosen anew; nil for never.
  let recompression: Int?
  /// `[layer][KV head]`, oldest first.
  private(set) var held: [[[Entry]]]
  private(set) var tokenCount = 0
  /// Tokens that may still come before the next compression.
  private var room = Int.max

  init(_ sequence: TokenSequence, size: Int, window: Int, sinks: Int, recompression: Int?) {
    (self.sequence, self.size, self.window, self.sinks) = (sequence, size, window, sinks)
    self.recompression = recompression
    let heads = [[Entry]](repeating: [], count: sequence.shape.keyValueHeads)
    held = [[[Entry]]](repeating: heads, count: sequence.shape.layers)
  }

  mutating func append(_ count: Int) {
    for token in tokenCount..<tokenCount + count {
      for layer in held.indices {
        for head in held[layer].indices {
          let key = sequence.key(layer: layer, token: token, head: head).map { Double($0) }
          let value = sequence.value(layer: layer, token: token, head: head).map { Double($0) }
          held[layer][head].append(
            Entry(key: sequence.rotated(key, by: token), value: value, count: 1, token: token))
        }
      }
    }
    tokenCount += count
  }

  /// Ends the prompt.
  mutating func finish() {
    room = recompression ?? .max
    guard tokenCount > size else {
      if recompression != nil { room += size - tokenCount }
      return
    }
    compress()
  }

  private mutating func compress() {
    for layer in held.indices {
      for head in held[layer].indices { held[layer][head] = compressed(held[layer][head]) }
    }
  }

  private func compressed(_ entries: [Entry]) -> [Entry] {
    let last = entries.count - window
    let old = Array(entries[sinks..<last])
    // |a|² − 2ab + |b|²; exactly 0 for equal keys.
    let norms = old.map { entry in entry.key.reduce(0) { $0 + $1 * $1 } }
    let products = old.map { a in old.map { b in zip(a.key, b.key).reduce(0) { $0 + $1.0 * $1.1 } } }
    let distance = { (a: Int, b: Int) in norms[a] - 2 * products[a][b] + norms[b] }
    // A center is a token from which, of all, the nearest center is farthest: searched anew for each.
    var chosen = [0]
    while chosen.count < size - window - sinks {
      let gaps = old.indices.map { token in chosen.map { distance(token, $0) }.min() ?? 0 }
      guard let next = gaps.indices.max(by: { gaps[$0] < gaps[$1] || gaps[$0] == gaps[$1] && $0 > $1 }), gaps[next] > 0
      else { break }
      chosen.append(next)
    }
    // The nearest center, of equally near ones that chosen first.
    let nearest = old.indices.map { token in
      chosen.indices.min { distance(token, chosen[$0]) < distance(token, chosen[$1]) } ?? 0
    }
    let clusters = chosen.indices.map { cluster -> Entry in
      let members = old.indices.filter { nearest[$0] == cluster }.map { old[$0] }
      var entry = old[chosen[cluster]]
      entry.count = members.reduce(0) { $0 + $1.count }
      return entry
    }
    return entries[..<sinks] + clusters.sorted { $0.token < $1.token } + entries[last...]
  }

  /// Outputs of tokens that enter one by one, `[layer][token, query head, headDim]`.
  mutating func run(_ count: Int) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: held.count)
    for _ in 0..<count {
      if room == 0 {
        compress()
        room = recompression ?? .max
      }
      append(1)
      if recompression != nil { room -= 1 }
      for layer in held.indices {
        for head in 0..<sequence.shape.queryHeads { outputs[layer] += output(layer: layer, head: head) }
      }
    }
    return outputs
  }

  private func output(layer: Int, head: Int) -> [Float] {
    let shape = sequence.shape
    let entries = held[layer][head / shape.groupSize]
    let raw = sequence.query(layer: layer, token: tokenCount - 1, head: head).map { Double($0) }
    let query = sequence.rotated(raw, by: tokenCount - 1)
    let weights = entries.map { entry in
      let logit = zip(query, entry.key).reduce(0) { $0 + $1.0 * $1.1 } / Double(shape.headDim).squareRoot()
      return exp(logit) * entry.count
    }
    let sum = weights.reduce(0, +)
    return (0..<shape.headDim).map { dim in
      Float(zip(weights, entries).reduce(0) { $0 + $1.0 * $1.1.value[dim] } / sum)
    }
  }
}
