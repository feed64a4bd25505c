import CacheTestSupport
import Kernels
import Testing

@testable import KVCaches

/// Taking tokens of a segment back out of what it will add to a memory.
@Suite("Undo within a segment")
struct CompressiveUndoTests {
  private static let sequence = TokenSequence(
    shape: KVCache.Shape(layers: 2, queryHeads: 4, keyValueHeads: 2, headDim: 16),
    positions: CacheCase(plan: "full").positions, count: 48, seed: 11)

  private func attention() throws -> LocalAttention {
    LocalAttention(layers: Self.sequence.layers, team: try WorkerTeam(threads: 1), kernels: .current)
  }

  private func cache(_ update: String, depth: Int, _ slotType: KVCache.SlotType = .float16) throws -> KVCache {
    let plan = try KVCache.Plan("infini:8[update=\(update),gate=0.3]")
    let cache = try KVCache(plan: plan, layers: Self.sequence.layers, slotType: slotType)
    try cache.keepUndoLog(depth: depth)
    return cache
  }

  @Test(
    "from every place in a segment to every place before it, bit for bit", arguments: ["linear", "delta"],
    [Chunking.ones, .sizes([3]), .sizes([8])])
  func everyPlace(update: String, chunking: Chunking) throws {
    let attention = try attention()
    for segment in [0, 1, 3] {
      for end in segment * 8 + 1...segment * 8 + 8 {
        for kept in segment * 8..<end {
          let cache = try cache(update, depth: 64)
          _ = attention.run(cache, Self.sequence, tokens: 0..<end, chunking: chunking)
          #expect(cache.undoableTokens == end - segment * 8)
          #expect(try cache.rollBack(tokens: end - kept) == end - kept)
          let fresh = try self.cache(update, depth: 64)
          _ = attention.run(fresh, Self.sequence, tokens: 0..<kept, chunking: chunking)
          #expect(cache.snapshot() == fresh.snapshot(), "back from \(end) to \(kept)")
          let again = attention.run(cache, Self.sequence, tokens: kept..<kept + 9, chunking: .ones)
          #expect(again == attention.run(fresh, Self.sequence, tokens: kept..<kept + 9, chunking: .ones))
          #expect(cache.snapshot() == fresh.snapshot(), "on from \(kept)")
        }
      }
    }
  }

  @Test("not from before the segment, nor deeper than the log", arguments: ["linear", "delta"])
  func limits(update: String) throws {
    let attention = try attention()
    let deep = try cache(update, depth: 64)
    _ = attention.run(deep, Self.sequence, tokens: 0..<19, chunking: .ones)
    let snapshot = deep.snapshot()
    let problem = #expect(throws: KVCacheError.self) { try deep.rollBack(tokens: 4) }
    #expect(problem?.description.contains("only the last 3") == true)
    #expect(deep.snapshot() == snapshot)
    let shallow = try cache(update, depth: 2)
    _ = attention.run(shallow, Self.sequence, tokens: 0..<22, chunking: .ones)
    #expect(shallow.undoableTokens == 2)
    #expect(try shallow.rollBack(tokens: 2) == 2)
    let fresh = try cache(update, depth: 2)
    _ = attention.run(fresh, Self.sequence, tokens: 0..<20, chunking: .ones)
    #expect(shallow.snapshot() == fresh.snapshot())
    // A step longer than the log leaves nothing to take back, and what comes after it can be.
    _ = attention.run(shallow, Self.sequence, tokens: 20..<23, chunking: .whole)
    #expect(shallow.undoableTokens == 0)
    _ = attention.run(shallow, Self.sequence, tokens: 23..<24, chunking: .ones)
    #expect(try shallow.rollBack(tokens: 1) == 1)
    _ = attention.run(fresh, Self.sequence, tokens: 20..<23, chunking: .whole)
    #expect(shallow.snapshot() == fresh.snapshot())
  }

  @Test("a restored cache goes on with a log of its own, and an ended log is no more", arguments: ["linear", "delta"])
  func restored(update: String) throws {
    let attention = try attention()
    let first = try cache(update, depth: 16)
    _ = attention.run(first, Self.sequence, tokens: 0..<20, chunking: .sizes([5]))
    let second = try cache(update, depth: 16)
    try second.restore(first.snapshot())
    #expect(second.undoableTokens == 0)
    _ = attention.run(second, Self.sequence, tokens: 20..<23, chunking: .ones)
    #expect(try second.rollBack(tokens: 3) == 3)
    #expect(second.snapshot() == first.snapshot())
    let bytes = first.bytes
    try first.keepUndoLog(depth: 0)
    #expect(first.bytes < bytes)
    _ = attention.run(first, Self.sequence, tokens: 20..<48, chunking: .ones)
    #expect(throws: KVCacheError.self) { try first.rollBack(tokens: 1) }
  }
}
