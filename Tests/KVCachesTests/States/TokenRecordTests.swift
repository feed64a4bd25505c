import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Which tokens a cache says it holds, against lists.
@Suite("Tokens that heads hold")
struct TokenRecordTests {
  private static let shape = KVCache.Shape(layers: 2, queryHeads: 6, keyValueHeads: 2, headDim: 16)
  private static let sequence = TokenSequence(
    shape: shape, positions: .rotary(RotaryEmbedding(dim: 16, base: 10_000, layout: .halves)), count: 110, seed: 23)

  private func cache(_ plan: String) throws -> KVCache {
    let cache = try KVCache(
      plan: KVCache.Plan(plan), shape: Self.shape, slotType: .float32, positions: Self.sequence.positions)
    cache.recordTokens()
    return cache
  }

  private func attention(threads: Int = 1) throws -> LocalAttention {
    LocalAttention(shape: Self.shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
  }

  /// `[layer][KV head][token]`
  private func held(_ cache: KVCache) -> [[[Int]]] {
    (0..<Self.shape.layers).map { layer in
      (0..<Self.shape.keyValueHeads).map { cache.heldTokens(layer: layer, head: $0) }
    }
  }

  @Test("caches that choose by score hold the reference's tokens in every head", arguments: SelectionTests.plans)
  func chosen(plan: String) throws {
    let reference = ReferenceSelection(Self.sequence, plan: try KVCache.Plan(plan))
    for chunking in SelectionTests.chunkings {
      let expected = reference.run(chunking).held.map { layer in
        layer.map { ($0.sinks + ($0.levels.flatMap { $0 } + $0.scored).map(\.token)).sorted() }
      }
      for threads in [1, 3] {
        let cache = try cache(plan)
        _ = try attention(threads: threads).run(cache, Self.sequence, tokens: 0..<110, chunking: chunking)
        #expect(held(cache) == expected, "\(plan), \(chunking), \(threads) threads")
      }
    }
  }

  @Test(
    "other caches hold the same tokens in every head",
    arguments: [
      "full", "window:9", "streaming-llm:4+12", "sinks:3,window:5,window:6", "sinks:2,tokens", "window:5,tokens",
    ])
  func inOrder(plan: String) throws {
    let reference = ReferenceAttention(Self.sequence, plan: try KVCache.Plan(plan))
    for chunking in SelectionTests.chunkings + [.whole] {
      let cache = try cache(plan)
      _ = try attention().run(cache, Self.sequence, tokens: 0..<110, chunking: chunking) { read in
        let expected = [[Int]](repeating: reference.attended(by: read - 1), count: Self.shape.keyValueHeads)
        #expect(held(cache) == [expected, expected], "\(plan), \(chunking), \(read) tokens")
      }
    }
  }

  @Test(
    "caches that vote hold what the reference has kept, and all that came later",
    arguments: ["snapkv:40[window=8]", "snapkv:40[window=8,heads=adaptive]", "snapkv:30[window=8,mode=every-prefill]"])
  func voted(plan: String) throws {
    let subject = try PromptSubject(plan)
    var reference = ReferencePrompt(subject.sequence, try #require(subject.plan.prompt))
    let cache = try subject.makeCache()
    cache.recordTokens()
    for count in [120, 30] {
      subject.run(cache, count)
      reference.append(count)
      if count == 120 || subject.plan.prompt?.mode == .everyPrefill {
        _ = reference.vote(budgets: try subject.budgets(cache))
      }
      subject.finish(cache)
      let held = (0..<3).map { layer in (0..<2).map { cache.heldTokens(layer: layer, head: $0) } }
      #expect(held == reference.held, "\(plan)")
    }
  }

  @Test(
    "a reset forgets the tokens", arguments: ["streaming-llm:4+12", "cascading:36/4", "full", "snapkv:20[window=4]"])
  func reset(plan: String) throws {
    let (cache, attention) = (try cache(plan), try attention())
    _ = attention.run(cache, Self.sequence, tokens: 0..<60, chunking: .sizes([7]))
    cache.finishPrompt(team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    cache.reset()
    #expect(held(cache) == [[[], []], [[], []]])
    _ = attention.run(cache, Self.sequence, tokens: 0..<5, chunking: .ones)
    let expected = Array(0..<5)
    #expect(held(cache) == [[expected, expected], [expected, expected]])
  }
}
