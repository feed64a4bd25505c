import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Infini-attention's memory, mostly through gates so high that it alone answers.
@Suite("Compressive memory")
struct CompressiveTests {
  /// A gate whose sigmoid is 1 in float32.
  static let memoryAlone = "gate=60"

  private func cache(_ plan: String, _ sequence: TokenSequence, _ slotType: KVCache.SlotType = .float32) throws
    -> KVCache
  {
    try KVCache(plan: KVCache.Plan(plan), layers: sequence.layers, slotType: slotType)
  }

  private func attention(_ sequence: TokenSequence, threads: Int = 1) throws -> LocalAttention {
    LocalAttention(layers: sequence.layers, team: try WorkerTeam(threads: threads), kernels: .current)
  }

  private func sequence(
    heads: (query: Int, keyValue: Int) = (1, 1), layers: Int = 1, headDim: Int = 2, count: Int,
    positions: PositionEncoding = .none, seed: UInt64 = 3
  ) -> TokenSequence {
    TokenSequence(
      shape: KVCache.Shape(
        layers: layers, queryHeads: heads.query, keyValueHeads: heads.keyValue, headDim: headDim),
      positions: positions, count: count, seed: seed)
  }

  /// The sequence of one head with these keys and values, and one more token that asks with `query`.
  private func pairs(_ keys: [[Float]], _ values: [[Float]], query: [Float]) -> TokenSequence {
    var sequence = sequence(count: keys.count + 1)
    for (token, key) in keys.enumerated() {
      sequence.set(key: key, layer: 0, token: token, head: 0)
      sequence.set(value: values[token], layer: 0, token: token, head: 0)
    }
    sequence.set(query: query, layer: 0, token: keys.count, head: 0)
    return sequence
  }

  private func near(_ a: [Float], _ b: [Float], _ tolerance: Float = 1e-5) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($1)) }
  }

  @Test("the example that was computed by hand", arguments: ["linear", "delta"])
  func example(update: String) throws {
    let sequence = pairs(
      [[1, 0], [0, -1], [1, 0], [2, 1]], [[1, 2], [3, 4], [1, 2], [-1, 0]], query: [0.5, -0.5])
    let (cache, attention) = (
      try cache("segment:2,compressive[update=\(update),\(Self.memoryAlone)]", sequence), try attention(sequence)
    )
    let state = try #require(cache.groups[0].state(CompressiveState.self))
    _ = attention.run(cache, sequence, tokens: 0..<2, chunking: .whole)
    // A token of the next segment finds the first one folded in.
    var asking = sequence
    asking.set(query: [0.5, -0.5], layer: 0, token: 2, head: 0)
    let answer = attention.run(cache, asking, tokens: 2..<4, chunking: .whole)[0]
    #expect(near(Array(answer[..<2]), [1.646619, 2.646619]))
    #expect(near(Array(UnsafeBufferPointer(start: state.memory(place: 0), count: 4)), [5, 8, 2.103638, 3.471518]))
    #expect(near(Array(UnsafeBufferPointer(start: state.normalizer(place: 0), count: 2)), [3, 1.367879]))
    _ = attention.run(cache, sequence, tokens: 4..<5, chunking: .whole)
    let memory: [Float] =
      update == "linear" ? [4, 12, 1.103638, 5.471518] : [-4.195451, -1.195451, -3.812410, -2.444531]
    #expect(near(Array(UnsafeBufferPointer(start: state.memory(place: 0), count: 4)), memory))
    #expect(near(Array(UnsafeBufferPointer(start: state.normalizer(place: 0), count: 2)), [8, 4.367879]))
  }

  @Test("a gate that is shut leaves attention to the segment alone, bit for bit")
  func shut() throws {
    let sequence = sequence(
      heads: (4, 2), layers: 2, headDim: 16, count: 50, positions: CacheCase(plan: "full").positions)
    let attention = try attention(sequence)
    let local = attention.run(try cache("segment:9", sequence), sequence, tokens: 0..<50, chunking: .sizes([4]))
    let shut = attention.run(
      try cache("segment:9,compressive[gate=-inf]", sequence), sequence, tokens: 0..<50, chunking: .sizes([4]))
    #expect(local == shut)
  }

  @Test("a segment is attended to as if nothing had been before it")
  func segments() throws {
    let sequence = sequence(
      heads: (4, 2), layers: 2, headDim: 16, count: 27, positions: CacheCase(plan: "full").positions)
    let attention = try attention(sequence)
    let streamed = attention.run(
      try cache("segment:9", sequence), sequence, tokens: 0..<27, chunking: .sizes([4, 1, 7]))
    for first in [0, 9, 18] {
      let alone = attention.run(try cache("full", sequence), sequence, tokens: first..<first + 9, chunking: .whole)
      for layer in 0..<2 {
        let part = Array(streamed[layer][first * 64..<(first + 9) * 64])
        #expect(relativeError(part, alone[layer]) < 1e-5, "layer \(layer) from token \(first)")
      }
    }
  }

  @Test(
    "token by token and in any chunks the outputs are the same", arguments: ["linear", "delta"], ["bypass", "scaled"])
  func chunks(update: String, first: String) throws {
    let sequence = sequence(
      heads: (4, 2), layers: 2, headDim: 16, count: 40, positions: CacheCase(plan: "full").positions)
    let plan = "segment:8,compressive[update=\(update),first=\(first),gate=0.3]"
    let ones = try attention(sequence).run(try cache(plan, sequence), sequence, tokens: 0..<40, chunking: .ones)
    for threads in [1, 3] {
      let attention = try attention(sequence, threads: threads)
      for size in 1...17 {
        let chunked = attention.run(
          try cache(plan, sequence), sequence, tokens: 0..<40, chunking: .sizes([size]))
        #expect(sequence.shape.largestError(chunked, ones).error < 1e-5, "chunks of \(size), \(threads) threads")
      }
    }
  }

  @Test("the gate mixes by its sigmoid, head by head, and an empty memory is passed by or answers zero")
  func mix() throws {
    var sequence = sequence(heads: (4, 2), headDim: 16, count: 12)
    sequence.gates = [[-2, 0.5, 3, -.infinity]]
    let attention = try attention(sequence)
    let run = { (plan: String, sequence: TokenSequence) in
      LocalAttention(layers: sequence.layers, team: attention.team, kernels: .current)
        .run(try self.cache(plan, sequence), sequence, tokens: 0..<12, chunking: .whole)[0]
    }
    let mixed = try run("segment:6,compressive", sequence)
    let scaled = try run("segment:6,compressive[first=scaled]", sequence)
    var ungated = sequence
    ungated.gates = nil
    let local = try run("segment:6", ungated)
    let memory = try run("segment:6,compressive[\(Self.memoryAlone)]", sequence)
    for token in 0..<12 {
      for head in 0..<4 {
        let beta = sequence.gates?[0][head] ?? 0
        let gate = beta == -.infinity ? 0 : 1 / (1 + expf(-beta))
        for index in (token * 4 + head) * 16..<(token * 4 + head + 1) * 16 {
          let expected = token < 6 ? local[index] : gate * memory[index] + (1 - gate) * local[index]
          #expect(abs(mixed[index] - expected) < 1e-5)
          if token < 6 { #expect(abs(scaled[index] - (1 - gate) * local[index]) < 1e-5) }
        }
      }
    }
  }

  @Test("what is read does not depend on where history stood")
  func noPositions() throws {
    let rotary = CacheCase(plan: "full").positions
    let plan = "segment:8,compressive[\(Self.memoryAlone)]"
    let plain = sequence(heads: (2, 1), headDim: 32, count: 24)
    let rotated = sequence(heads: (2, 1), headDim: 32, count: 24, positions: rotary)
    let outputs = try [plain, rotated].map {
      try attention($0).run(try cache(plan, $0), $0, tokens: 0..<24, chunking: .whole)[0]
    }
    #expect(relativeError(Array(outputs[0][8 * 64..<24 * 64]), Array(outputs[1][8 * 64..<24 * 64])) < 1e-5)
  }

  @Test("under the linear rule the order of pairs does not matter, within a segment or across")
  func order() throws {
    let (keys, values): ([[Float]], [[Float]]) = (
      [[1, 0.5], [-1, 2], [0.25, -0.75], [2, -2]], [[1, 2], [3, -1], [0.5, 4], [-2, 1]]
    )
    var answers: [[Float]] = []
    for order in [[0, 1, 2, 3], [1, 0, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
      let sequence = pairs(order.map { keys[$0] }, order.map { values[$0] }, query: [0.3, -0.2])
      let cache = try cache("segment:2,compressive[\(Self.memoryAlone)]", sequence)
      answers.append(Array(try attention(sequence).run(cache, sequence, tokens: 0..<5, chunking: .whole)[0][8...]))
    }
    for answer in answers { #expect(near(answer, answers[0])) }
  }

  @Test("a pair that is written twice: the linear rule answers it, the delta rule half of it")
  func twice() throws {
    let sequence = pairs([[1, -1], [1, -1]], [[4, 2], [4, 2]], query: [1, -1])
    for (update, answer) in [("linear", [4, 2] as [Float]), ("delta", [2, 1])] {
      let cache = try cache("segment:1,compressive[update=\(update),\(Self.memoryAlone)]", sequence)
      let output = try attention(sequence).run(cache, sequence, tokens: 0..<3, chunking: .ones)[0]
      #expect(near(Array(output[4...]), answer), "\(update)")
    }
  }

  @Test("every query head reads the memory of its own KV head")
  func groups() throws {
    var sequence = sequence(heads: (6, 3), headDim: 16, count: 20)
    for token in 0..<20 {
      for head in 0..<3 {
        sequence.set(value: [Float](repeating: Float(head + 1), count: 16), layer: 0, token: token, head: head)
      }
    }
    let cache = try cache("segment:10,compressive[\(Self.memoryAlone)]", sequence)
    let output = try attention(sequence).run(cache, sequence, tokens: 0..<20, chunking: .whole)[0]
    for token in 10..<20 {
      for head in 0..<6 {
        let part = output[(token * 6 + head) * 16..<(token * 6 + head + 1) * 16]
        #expect(part.allSatisfy { abs($0 - Float(head / 2 + 1)) < 1e-4 }, "token \(token), head \(head)")
      }
    }
  }

  @Test("the memory takes the same bytes after any number of tokens and stays finite in narrow slots")
  func endless() throws {
    let sequence = sequence(heads: (2, 1), headDim: 16, count: 512)
    let cache = try cache("segment:64,compressive[gate=0]", sequence, .float16)
    let (attention, bytes) = (try attention(sequence), cache.bytes)
    for _ in 0..<40 {
      let output = attention.run(cache, sequence, tokens: 0..<512, chunking: .sizes([64]))[0]
      let isFinite = output.allSatisfy { $0.isFinite }
      #expect(isFinite)
    }
    #expect(cache.bytes == bytes)
    #expect(bytes == KVCache.bytes(plan: cache.plan, shape: sequence.shape, slotType: .float16, tokens: 20_480))
  }

  @Test("a model without gates, and stages that do not fall as a whole, are refused")
  func refusals() throws {
    let plain = sequence(count: 1)
    var problem = #expect(throws: KVCacheError.self) { try cache("infini:4", plain) }
    #expect(problem?.description.contains("no gates") == true)
    for plan in ["window:4,compressive", "compressive", "sinks:2,compressive"] {
      problem = #expect(throws: KVCacheError.self, "\(plan)") { try KVCache.Plan(plan) }
    }
    #expect(throws: KVCacheError.self) { try KVCache.Plan("segment:4,window:4") }
    var gated = plain
    gated.gates = [[0]]
    problem = #expect(throws: KVCacheError.self) { try cache("full", gated) }
    #expect(problem?.description.contains("needs the cache 'infini'") == true)
  }
}
