import CAllocationCounter
import Engine
import KVCaches
import TestSupport
import Testing

@Suite(.enabled(if: allocation_count() >= 0, "allocations cannot be counted"))
struct DecodeAllocationTests {
  @Test(
    arguments: ["streaming-llm:4+20", "window:16", "quest:32[dense-layers=1]"],
    [(1, nil), (2, nil), (2, 4), (1, 512), (2, 512)])
  func `a warm decode step of the whole model allocates nothing`(plan: String, run: (threads: Int, rank: Int?)) throws {
    let (threads, rank) = run
    // The larger rank is shared out over the team.
    let engine = try loadTiny(adapter: rank.map { TinyAdapter(rank: $0) }, threads: threads).engine
    let cache = try engine.makeCache(KVCache.Plan(plan), slotType: .float16)
    engine.feed(randomIDs(40, seed: 1), cache: cache)
    let token = UnsafeMutableBufferPointer<Int32>.allocate(capacity: 1)
    defer { token.deallocate() }
    token.initialize(repeating: 7)
    let step = {
      engine.step(UnsafeBufferPointer(token), cache: cache)
      return engine.logits(row: 0)[0]
    }
    #expect(step().isFinite)
    let before = allocation_count()
    for _ in 0..<10 { _ = step() }
    #expect(allocation_count() == before)
  }
}
