import CacheTestSupport
import KVCaches
import Kernels
import TestSupport
import Testing

/// Layers that read the keys and values of an earlier one.
@Suite("Layers that share keys")
struct SharedKeysTests {
  private static let dim = 16
  /// One layer with two query heads for each of two KV heads.
  private static let whole = TokenSequence(
    shape: KVCache.Shape(layers: 1, queryHeads: 4, keyValueHeads: 2, headDim: dim),
    positions: .rotary(RotaryEmbedding(dim: dim, base: 100, layout: .halves)), count: 70, seed: 5)

  /// The same as two layers, of which the second has the other query heads and no keys, and one more between them.
  private static var layers: [AttentionLayer] {
    var layers = KVCache.Shape(layers: 3, queryHeads: 2, keyValueHeads: 2, headDim: dim).layers(
      positions: whole.positions)
    // Another kind, which keeps a window whatever the plan.
    layers[1].window = 5
    layers[2].keysOfLayer = 0
    return layers
  }

  /// Tokens of the prompt, whose end is told to both.
  private static let prompt = 50

  /// Drives both; returns the outputs of the layers that share keys beside those of the whole.
  private func drive(_ plan: String, threads: Int, _ chunking: Chunking) throws -> (shared: [Float], whole: [Float]) {
    let team = try WorkerTeam(threads: threads)
    let one = LocalAttention(layers: Self.whole.layers, team: team, kernels: .current)
    let two = LocalAttention(layers: Self.layers, team: team, kernels: .current)
    let wholeCache = try one.makeMemory(KVCache.Plan(plan), slotType: .float32)
    let sharedCache = try two.makeMemory(KVCache.Plan(plan), slotType: .float32)
    var (outputs, expected): ([Float], [Float]) = ([], [])
    for part in [0..<Self.prompt, Self.prompt..<Self.whole.count] {
      expected += one.run(wholeCache, Self.whole, tokens: part, chunking: chunking)[0]
      var first = part.lowerBound
      for size in chunking.sizes(part.count) {
        let end = first + size
        while first < end {
          let count = sharedCache.admissibleChunk(end - first)
          outputs += step(two, sharedCache, first..<first + count)
          first += count
        }
      }
      one.endPrompt(of: wholeCache)
      two.endPrompt(of: sharedCache)
    }
    return (outputs, expected)
  }

  private func step(_ attention: LocalAttention, _ cache: KVCache, _ tokens: Range<Int>) -> [Float] {
    let (dim, sequence) = (Self.dim, Self.whole)
    func queries(_ parity: Int) -> [Float] {
      tokens.flatMap { token in
        [0, 1].flatMap { Array(sequence.query(layer: 0, token: token, head: 2 * $0 + parity)) }
      }
    }
    let keys = tokens.flatMap { token in [0, 1].flatMap { Array(sequence.key(layer: 0, token: token, head: $0)) } }
    let values = tokens.flatMap { token in [0, 1].flatMap { Array(sequence.value(layer: 0, token: token, head: $0)) } }
    attention.beginStep([.init(memory: cache, rows: 0..<tokens.count)])
    var outputs = (0..<3).map { _ in [Float](repeating: 0, count: tokens.count * 2 * dim) }
    for layer in 0..<3 {
      let own = queries(layer == 2 ? 1 : 0)
      own.withUnsafeBufferPointer { own in
        attention.begin(layer: layer, queries: own.baseAddress!)
        if layer == 2 {
          attention.finish(layer: layer, keys: nil, values: nil, output: &outputs[layer])
        } else {
          attention.finish(layer: layer, keys: keys, values: values, output: &outputs[layer])
        }
      }
    }
    return tokens.indices.flatMap { token -> [Float] in
      let row = token - tokens.lowerBound
      return (0..<4).flatMap { head -> ArraySlice<Float> in
        let first = (row * 2 + head / 2) * dim
        return outputs[head % 2 == 0 ? 0 : 2][first..<first + dim]
      }
    }
  }

  /// Weights of both layers add up at the keys: the same tokens stay as under one layer with all the query heads, since a sum
  /// over two heads orders them as their mean does. The queries of both vote at the end of a prompt.
  @Test(
    "answer as one layer with all their query heads",
    arguments: [
      "full", "streaming-llm:2+9", "h2o:16", "h2o:16[positions=clipped]", "tova:14[reduce=mean]",
      "cascading:20/2[reduce=mean]", "sinks:2,window:9,uniform:6", "subgen:64[window=30]", "snapkv:24[window=6]",
      "snapkv:24[window=6,reduce=max]", "snapkv:25[window=6,heads=adaptive,pool=none]",
      "snapkv:24[window=6,mode=every-prefill]",
    ])
  func equalOne(plan: String) throws {
    for threads in [1, 3] {
      for chunking in [Chunking.ones, .sizes([7]), .sizes([20, 1, 1, 9])] {
        let (shared, whole) = try drive(plan, threads: threads, chunking)
        #expect(largestDifference(shared, whole) < 1e-5, "\(threads) threads, \(chunking)")
      }
    }
  }

  @Test("must be those of the last layer of its kind that has keys")
  func order() throws {
    var layers = Self.layers
    layers[1] = layers[0]
    #expect(throws: KVCacheError.self) { try KVCache(plan: KVCache.Plan("full"), layers: layers) }
    layers[2].keysOfLayer = 1
    #expect(throws: Never.self) { try KVCache(plan: KVCache.Plan("full"), layers: layers) }
  }
}
