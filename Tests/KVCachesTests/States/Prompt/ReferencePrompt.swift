import CacheTestSupport
import Foundation
import Kernels

@testable import KVCaches

/// A cache whose prompts are voted down, as the definition says it, in Float64: raw keys, places in the stream made anew,
/// an explicit softmax over whole rows, sorted lists (arXiv 2404.14469, section 3).
struct ReferencePrompt {
  let sequence: TokenSequence
  let prompt: Prompt
  /// Tokens that each head holds, oldest first, `[layer][KV head]`.
  private(set) var held: [[[Int]]]
  /// Pooled votes on each head's tokens before the window, of the last vote, `[layer][KV head][token held]`.
  private(set) var scores: [[[Double]]] = []
  private(set) var tokenCount = 0

  init(_ sequence: TokenSequence, _ prompt: Prompt) {
    (self.sequence, self.prompt) = (sequence, prompt)
    let heads = [[Int]](repeating: [], count: sequence.shape.keyValueHeads)
    held = [[[Int]]](repeating: heads, count: sequence.shape.layers)
  }

  mutating func append(_ count: Int) {
    for layer in held.indices {
      for head in held[layer].indices { held[layer][head] += tokenCount..<tokenCount + count }
    }
    tokenCount += count
  }

  /// Outputs of tokens that enter one by one, `[layer][token, query head, headDim]`.
  mutating func run(_ count: Int) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: held.count)
    for _ in 0..<count {
      append(1)
      for layer in held.indices {
        for head in 0..<sequence.shape.queryHeads { outputs[layer] += output(layer: layer, head: head) }
      }
    }
    return outputs
  }

  /// Ends a prompt; `budgets` are the tokens that each layer chooses for a head, in the mean.
  ///
  /// - Returns: the slots kept, counted from the oldest token that the head held, `[layer, KV head][kept]`.
  mutating func vote(budgets: [Int]) -> [[Int]] {
    scores = held.indices.map { layer in held[layer].indices.map { pooled(layer: layer, head: $0) } }
    for layer in held.indices {
      for head in held[layer].indices {
        for slot in 0..<prompt.sinks { scores[layer][head][slot] = .infinity }
      }
    }
    var kept: [[Int]] = []
    for layer in held.indices {
      let chosen = choose(scores[layer], budget: budgets[layer])
      for head in held[layer].indices {
        let tokens = held[layer][head]
        let slots = chosen[head].sorted() + Array(tokens.count - prompt.window..<tokens.count)
        kept.append(slots)
        held[layer][head] = slots.map { tokens[$0] }
      }
    }
    return kept
  }

  private func choose(_ scores: [[Double]], budget: Int) -> [Set<Int>] {
    let ranked = { (head: Int) in
      scores[head].indices.sorted {
        scores[head][$0] != scores[head][$1] ? scores[head][$0] > scores[head][$1] : $0 < $1
      }
    }
    let total = budget * scores.count
    guard prompt.heads != .uniform, scores.reduce(0, { $0 + $1.count }) > total else {
      return scores.indices.map { Set(ranked($0).prefix(prompt.heads == .uniform ? budget : .max)) }
    }
    // Which heads the largest votes lie in: as Ada-KV's code has it, from votes sorted in each head, one behind the other;
    // under a floor the first fifth of each head counts as infinite (kvpress).
    let floor = Int(0.2 * Double(budget))
    let votes = scores.indices.flatMap { head in
      ranked(head).enumerated().map { rank, slot in
        (vote: prompt.heads == .floor && rank < floor ? .infinity : scores[head][slot], head: head)
      }
    }
    let largest = votes.enumerated().sorted { a, b in
      a.element.vote != b.element.vote ? a.element.vote > b.element.vote : a.offset < b.offset
    }.prefix(total)
    return scores.indices.map { head in
      let won = Double(largest.count { $0.element.head == head })
      let count = prompt.heads == .floor ? won : (won * (1 - 0.2) + Double(floor)).rounded(.toNearestOrEven)
      return Set(ranked(head).prefix(Int(count)))
    }
  }

  private func pooled(layer: Int, head: Int) -> [Double] {
    let group = sequence.shape.groupSize
    let tokens = held[layer][head]
    let candidates = tokens.count - prompt.window
    let perHead = (head * group..<(head + 1) * group).map { queryHead -> [Double] in
      var votes = [Double](repeating: 0, count: candidates)
      for token in tokenCount - prompt.window..<tokenCount {
        let weights = probabilities(layer: layer, head: queryHead, token: token, of: tokens.filter { $0 <= token })
        for index in 0..<candidates { votes[index] += weights[index] }
      }
      return votes.indices.map { index in
        let reach = prompt.pooling.kernel / 2
        let around = votes[max(0, index - reach)...min(candidates - 1, index + reach)]
        switch prompt.pooling {
        case .none: return votes[index]
        case .maximum: return around.max() ?? 0
        case .average(let kernel): return around.reduce(0, +) / Double(kernel)
        }
      }
    }
    return (0..<candidates).map { index in
      let votes = perHead.map { $0[index] }
      return prompt.reduction == .maximum ? votes.max() ?? 0 : votes.reduce(0, +) / Double(group)
    }
  }

  /// The softmax of the logits of tokens; a learned sink logit takes its share.
  private func probabilities(layer: Int, head: Int, token: Int, of tokens: [Int]) -> [Double] {
    let shape = sequence.shape
    let query = sequence.rotated(sequence.query(layer: layer, token: token, head: head).map { Double($0) }, by: token)
    let logits = tokens.map { other -> Double in
      let key = sequence.rotated(
        sequence.key(layer: layer, token: other, head: head / shape.groupSize).map { Double($0) }, by: other)
      return zip(query, key).reduce(0) { $0 + $1.0 * $1.1 } / Double(shape.headDim).squareRoot()
    }
    var sum = logits.reduce(0) { $0 + exp($1) }
    if let sink = sequence.sinkLogits?[layer][head] { sum += exp(Double(sink)) }
    return logits.map { exp($0) / sum }
  }

  private func output(layer: Int, head: Int) -> [Float] {
    let keyValueHead = head / sequence.shape.groupSize
    let tokens = held[layer][keyValueHead]
    let weights = probabilities(layer: layer, head: head, token: tokenCount - 1, of: tokens)
    var mixed = [Double](repeating: 0, count: sequence.shape.headDim)
    for (weight, token) in zip(weights, tokens) {
      for (dim, value) in sequence.value(layer: layer, token: token, head: keyValueHead).enumerated() {
        mixed[dim] += weight * Double(value)
      }
    }
    return mixed.map { Float($0) }
  }
}
