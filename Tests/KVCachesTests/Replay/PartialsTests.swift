import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// The partials that attention hands out, from which results of parts of a sequence can be joined elsewhere.
@Suite("Partials of a layer")
struct PartialsTests {
  static let shape = KVCache.Shape(layers: 2, queryHeads: 6, keyValueHeads: 2, headDim: 32)
  static let slopes = (1...6).map { 1 / Float(1 + $0) }
  static let encodings: [PositionEncoding] = [
    .none, .rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: .halves)), .linearBias(slopes: slopes),
  ]

  private static func sequence(_ positions: PositionEncoding, sinkLogits: [Float]? = nil) -> TokenSequence {
    var sequence = TokenSequence(shape: shape, positions: positions, count: 100, seed: 71)
    sequence.sinkLogits = sinkLogits.map { [[Float]](repeating: $0, count: shape.layers) }
    return sequence
  }

  private static func attention(_ sequence: TokenSequence, threads: Int) throws -> LocalAttention {
    LocalAttention(
      layers: sequence.layers, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
  }

  /// What `finish` writes for one step in one layer.
  struct Answer {
    var output: [Float]
    /// `[token, query head]`
    var partial: PartialAttention
  }

  /// Drives one step through all layers.
  ///
  /// - Parameters:
  ///   - queries: the tokens whose queries ask, where those are not `tokens` themselves
  private static func step(
    _ attention: LocalAttention, _ cache: KVCache, _ sequence: TokenSequence, tokens: Range<Int>,
    queries queryTokens: Range<Int>? = nil
  ) -> [Answer] {
    attention.beginStep(cache, rows: tokens.count)
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDim, shape.keyValueHeads * shape.headDim)
    let asking = queryTokens ?? tokens
    return (0..<shape.layers).map { layer in
      var output = [Float](repeating: .nan, count: tokens.count * queryWidth)
      let partial = PartialAttention(rows: tokens.count * shape.queryHeads, headDim: shape.headDim)
      let queries = Array(sequence.queries[layer][asking.lowerBound * queryWidth..<asking.upperBound * queryWidth])
      let range = tokens.lowerBound * keyWidth..<tokens.upperBound * keyWidth
      let (keys, values) = (Array(sequence.keys[layer][range]), Array(sequence.values[layer][range]))
      queries.withUnsafeBufferPointer { queries in
        attention.begin(layer: layer, queries: queries.baseAddress!)
        attention.finish(
          layer: layer, keys: keys, values: values, output: &output, partials: partial.rows(from: 0))
      }
      return Answer(output: output, partial: partial)
    }
  }

  @Test(
    "divided by their sums they are the output, bit for bit",
    arguments: [
      "full", "streaming-llm:4+12", "sinks:2,window:7,window:9", "h2o:24[positions=clipped]", "cascading:36/4",
      "snapkv:20[window=7]", "k-center:20[window=7]", "pages:32[dense-layers=1]",
      "sinks:2,window:6,uniform:8", "sinks:2,window:6,clusters:20[kind=paper,t=2,s=8]", "window:9,moments:4",
    ])
  func normalised(plan text: String) throws {
    let plan = try KVCache.Plan(text)
    for positions in Self.encodings {
      if case .linearBias = positions, plan.usesOriginalPositions { continue }
      for sinkLogits in [nil, [-1, 0, 2, 0.5, -.infinity, 1]] as [[Float]?] {
        let sequence = Self.sequence(positions, sinkLogits: sinkLogits)
        for threads in [1, 3] {
          let attention = try Self.attention(sequence, threads: threads)
          let cache = try KVCache(plan: plan, layers: sequence.layers, slotType: .float32)
          let silent = try KVCache(plan: plan, layers: sequence.layers, slotType: .float32)
          for end in [1, 41, 61, 62, 63, 70] {
            while cache.tokenCount < end {
              let next = Int(cache.tokenCount)
              let tokens = next..<next + cache.admissibleChunk(end - next)
              let answers = Self.step(attention, cache, sequence, tokens: tokens)
              let outputs = attention.step(silent, sequence, tokens: tokens)
              for (answer, output) in zip(answers, outputs) {
                #expect(answer.output == output, "asking for partials changes nothing")
                answer.partial.finish(rows: answer.partial.rows, kernels: .current)
                #expect(
                  Array(answer.partial.output.elements) == output,
                  "\(text), \(positions), \(threads) threads, \(tokens)")
              }
            }
            guard end == 61 else { continue }
            for cache in [cache, silent] { attention.endPrompt(of: cache) }
          }
        }
      }
    }
  }

  @Test("their maxima and sums are those of the softmax of the definition", arguments: [1, 3])
  func logarithms(threads: Int) throws {
    for positions in Self.encodings {
      for sinkLogits in [nil, [-1, 0, 2, 0.5, -.infinity, 1]] as [[Float]?] {
        let sequence = Self.sequence(positions, sinkLogits: sinkLogits)
        let reference = ReferenceAttention(sequence, plan: .full)
        let attention = try Self.attention(sequence, threads: threads)
        let cache = try KVCache(plan: .full, layers: sequence.layers, slotType: .float32)
        var next = 0
        for size in [1, 40, 1, 7, 1] {
          let answers = Self.step(attention, cache, sequence, tokens: next..<next + size)
          for (layer, answer) in answers.enumerated() {
            for row in 0..<size * Self.shape.queryHeads {
              let (token, head) = (next + row / Self.shape.queryHeads, row % Self.shape.queryHeads)
              let expected = reference.logSum(layer: layer, token: token, head: head)
              let found = Double(answer.partial.maximum[row]) + log(Double(answer.partial.sum[row]))
              #expect(abs(found - expected) < 1e-4, "\(positions), token \(token), head \(head)")
            }
          }
          next += size
        }
      }
    }
  }

  @Test("those of two parts of a sequence, merged, are those of the whole", arguments: [1, 3])
  func shards(threads: Int) throws {
    for positions in Self.encodings {
      for sinkLogits in [nil, [-1, 0, 2, 0.5, -.infinity, 1]] as [[Float]?] {
        let sequence = Self.sequence(positions, sinkLogits: sinkLogits)
        for cut in [1, 16, 50, 64, 98] {
          let whole = try wholeAnswer(sequence, threads: threads)
          // Sink logits count once. The last token asks the first part from behind the part's own last token.
          var plain = sequence
          plain.sinkLogits = nil
          let first = try partAnswer(plain.turningQuery(of: 99, back: 100 - cut), 0..<cut, threads: threads)
          let second = try partAnswer(sequence, cut..<100, threads: threads)
          for layer in 0..<Self.shape.layers {
            let (a, b) = (first[layer].partial, second[layer].partial)
            if case .linearBias(let slopes) = positions {
              // A part knows distances from its own last token only.
              for head in slopes.indices { a.maximum[head] -= slopes[head] * Float(100 - cut) }
            }
            a.merge(b, rows: a.rows, kernels: .current)
            let total = whole[layer].partial
            for row in 0..<a.rows {
              let (found, expected) = (a.maximum[row] + log(a.sum[row]), total.maximum[row] + log(total.sum[row]))
              #expect(abs(found - expected) < 1e-4, "\(positions), cut at \(cut), row \(row)")
            }
            a.finish(rows: a.rows, kernels: .current)
            #expect(
              relativeError(Array(a.output.elements), whole[layer].output) <= 1e-5, "\(positions), cut at \(cut)")
          }
        }
      }
    }
  }

  /// The last token's answers from a cache of the whole sequence.
  private func wholeAnswer(_ sequence: TokenSequence, threads: Int) throws -> [Answer] {
    try partAnswer(sequence, 0..<sequence.count, threads: threads)
  }

  /// The last token's answers from a cache of some tokens.
  private func partAnswer(_ sequence: TokenSequence, _ tokens: Range<Int>, threads: Int) throws -> [Answer] {
    let attention = try Self.attention(sequence, threads: threads)
    let cache = try KVCache(plan: .full, layers: sequence.layers, slotType: .float32)
    _ = attention.run(cache, sequence, tokens: tokens.dropLast(), chunking: .sizes([30]))
    return Self.step(
      attention, cache, sequence, tokens: tokens.upperBound - 1..<tokens.upperBound,
      queries: sequence.count - 1..<sequence.count)
  }
}

extension TokenSequence {
  /// The sequence in which a token's queries stand so many places further back than it stands.
  ///
  /// A rotary logit depends on the distance alone, so a part of a sequence whose places begin at 0 can be asked from
  /// beyond its end.
  fileprivate func turningQuery(of token: Int, back places: Int) -> TokenSequence {
    var sequence = self
    for layer in 0..<shape.layers {
      for head in 0..<shape.queryHeads {
        let query = query(layer: layer, token: token, head: head).map { Double($0) }
        sequence.set(query: rotated(query, by: places).map { Float($0) }, layer: layer, token: token, head: head)
      }
    }
    return sequence
  }
}

extension ReferenceAttention {
  /// The logarithm of the sum of exp(logit) over all that a query sees.
  fileprivate func logSum(layer: Int, token: Int, head: Int) -> Double {
    let shape = sequence.shape
    let query = rotated(sequence.query(layer: layer, token: token, head: head), at: token)
    var sum = attended(by: token).reduce(0.0) { sum, other in
      let key = rotated(sequence.key(layer: layer, token: other, head: head / shape.groupSize), at: other)
      let product = zip(query, key).reduce(0) { $0 + $1.0 * $1.1 } / Double(shape.headDim).squareRoot()
      return sum + exp(product - slope(head) * Double(token - other))
    }
    if let sink = sequence.sinkLogits?[layer][head] { sum += exp(Double(sink)) }
    return log(sum)
  }
}
