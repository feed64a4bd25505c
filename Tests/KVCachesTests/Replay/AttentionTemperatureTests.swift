import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Logits that grow with the place of their query.
@Suite("Attention temperature")
struct AttentionTemperatureTests {
  private static let shape = KVCache.Shape(layers: 2, queryHeads: 6, keyValueHeads: 2, headDim: 16)
  private static let temperature = AttentionTemperature(growth: 0.7, length: 5)
  private static let prompt = 50
  private static let tokens = 80

  private static func sequence(_ positions: PositionEncoding) -> TokenSequence {
    TokenSequence(shape: shape, positions: positions, count: tokens, seed: 31)
  }

  /// The sequence whose query of each token is larger by the definition's factor at the token's place.
  private func grown(_ sequence: TokenSequence, place: (Int) -> Int) -> TokenSequence {
    var grown = sequence
    for token in 0..<sequence.count {
      let factor = Float(1 + 0.7 * log(1 + floor(Double(place(token)) / 5)))
      for layer in 0..<Self.shape.layers {
        for head in 0..<Self.shape.queryHeads {
          let query = sequence.query(layer: layer, token: token, head: head).map { $0 * factor }
          grown.set(query: query, layer: layer, token: token, head: head)
        }
      }
    }
    return grown
  }

  @Test("is 1 at the start, and grows by steps")
  func factors() {
    let temperature = AttentionTemperature(growth: 0.1, length: 16_384)
    #expect(temperature.factor(at: 0) == 1 && temperature.factor(at: 16_383) == 1)
    #expect(abs(temperature.factor(at: 16_384) - 1.0693147) < 1e-6)
    #expect(abs(temperature.factor(at: 3 * 16_384 + 5) - 1.1386294) < 1e-6)
    #expect(temperature.factor(at: .max).isFinite)
  }

  /// Where tokens stand in a cache: behind all that it holds apart, as for sinks; in the stream where places there are kept.
  @Test(
    "takes the place in the cache",
    arguments: [
      ("full", 1000), ("quest:64", 1000), ("window:12", 11), ("streaming-llm:3+14", 16),
      ("sinks:2,window:4,window:9", 14),
      ("cascading:20/2", 20), ("cascading:20/2[select=off]", 20), ("sinks:2,window:9,uniform:6", 11), ("h2o:16", 1000),
      ("h2o:16[positions=clipped]", 16), ("snapkv:24[window=6]", 1000), ("segment:9", -1),
    ])
  func places(plan: String, last: Int) throws {
    let place = { (token: Int) in last < 0 ? token % 9 : min(token, last) }
    for positions in [PositionEncoding.none, .rotary(RotaryEmbedding(dim: 12, base: 100, layout: .halves))] {
      for threads in [1, 3] {
        let (sequence, team) = (Self.sequence(positions), try WorkerTeam(threads: threads))
        var layers = sequence.layers
        let plain = LocalAttention(layers: layers, team: team, kernels: .current)
        for index in layers.indices { layers[index].temperature = Self.temperature }
        let attention = LocalAttention(layers: layers, team: team, kernels: .current)
        let cache = try attention.makeMemory(KVCache.Plan(plan), slotType: .float32)
        let other = try plain.makeMemory(KVCache.Plan(plan), slotType: .float32)
        let grown = grown(sequence, place: place)
        for tokens in [0..<Self.prompt, Self.prompt..<Self.tokens] {
          let outputs = attention.run(cache, sequence, tokens: tokens, chunking: .ones)
          let expected = plain.run(other, grown, tokens: tokens, chunking: .ones)
          let (error, place) = Self.shape.largestError(outputs, expected)
          #expect(error < 1e-5, "\(plan), \(threads) threads: \(place)")
          attention.endPrompt(of: cache)
          plain.endPrompt(of: other)
        }
      }
    }
  }

  @Test("does not depend on chunks", arguments: ["full", "streaming-llm:3+14", "window:12", "snapkv:24[window=6]"])
  func chunks(plan: String) throws {
    let sequence = Self.sequence(.rotary(RotaryEmbedding(dim: 16, base: 100, layout: .interleaved)))
    var layers = sequence.layers
    for index in layers.indices { layers[index].temperature = Self.temperature }
    let attention = LocalAttention(layers: layers, team: try WorkerTeam(threads: 2), kernels: .current)
    func run(_ chunking: Chunking) throws -> [[Float]] {
      let cache = try attention.makeMemory(KVCache.Plan(plan), slotType: .float32)
      let first = attention.run(cache, sequence, tokens: 0..<Self.prompt, chunking: chunking)
      attention.endPrompt(of: cache)
      let rest = attention.run(cache, sequence, tokens: Self.prompt..<Self.tokens, chunking: chunking)
      return zip(first, rest).map { $0 + $1 }
    }
    let expected = try run(.ones)
    for chunking in [Chunking.sizes([7]), .sizes([40, 3]), .whole] {
      #expect(Self.shape.largestError(try run(chunking), expected).0 < 1e-5, "\(plan), \(chunking)")
    }
  }

  @Test("layers that differ in it are groups of their own")
  func groups() throws {
    var layers = Self.sequence(.none).layers
    layers[1].temperature = Self.temperature
    #expect(try KVCache(plan: .full, layers: layers).groups.count == 2)
  }
}
