import CAllocationCounter
import Engine
import KVCaches
import TestSupport
import Testing

@Suite(.enabled(if: allocation_count() >= 0, "allocations cannot be counted"))
struct DecodeAllocationTests {
  @Test(arguments: ["streaming-llm:4+20", "window:16"], [1, 2])
  func `a warm decode step of the whole model allocates nothing`(plan: String, threads: Int) throws {
    let engine = try loadTiny(threads: threads).engine
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
