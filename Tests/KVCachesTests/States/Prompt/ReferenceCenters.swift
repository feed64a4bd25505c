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
  let prompt: Prompt
  let centers: Prompt.Centers
  let size: Int
  /// `[layer][KV head]`, oldest first.
  private(set) var held: [[[Entry]]]
  private(set) var tokenCount = 0
  /// Tokens that may still come before the next compression.
  private var room = Int.max

  init(_ sequence: TokenSequence, _ prompt: Prompt, _ centers: Prompt.Centers, size: Int) {
    (self.sequence, self.prompt, self.centers, self.size) = (sequence, prompt, centers, size)
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
    room = centers.recompression ?? .max
    guard tokenCount > size else {
      if centers.recompression != nil { room += size - tokenCount }
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
    let last = entries.count - prompt.window
    let old = Array(entries[prompt.sinks..<last])
    let distance = { (a: Entry, b: Entry) in zip(a.key, b.key).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) } }
    var chosen = [0]
    var smallest = old.map { distance($0, old[0]) }
    while chosen.count < size - prompt.window - prompt.sinks, let largest = smallest.max(), largest > 0,
      let next = smallest.firstIndex(of: largest)
    {
      chosen.append(next)
      for (index, entry) in old.enumerated() { smallest[index] = min(smallest[index], distance(entry, old[next])) }
    }
    // The nearest center, of equally near ones that chosen first.
    let nearest = old.map { entry in
      chosen.indices.min { distance(entry, old[chosen[$0]]) < distance(entry, old[chosen[$1]]) } ?? 0
    }
    let clusters = chosen.indices.map { cluster -> Entry in
      let members = old.indices.filter { nearest[$0] == cluster }.map { old[$0] }
      var entry = old[chosen[cluster]]
      entry.count = members.reduce(0) { $0 + $1.count }
      return entry
    }
    return entries[..<prompt.sinks] + clusters.sorted { $0.token < $1.token } + entries[last...]
  }

  /// Outputs of tokens that enter one by one, `[layer][token, query head, headDim]`.
  mutating func run(_ count: Int) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: held.count)
    for _ in 0..<count {
      if room == 0 {
        compress()
        room = centers.recompression ?? .max
      }
      append(1)
      if centers.recompression != nil { room -= 1 }
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
