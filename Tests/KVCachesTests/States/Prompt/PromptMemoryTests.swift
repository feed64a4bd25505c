import CacheTestSupport
import Evaluation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// What a cache that chooses among a prompt's tokens takes, and what of it is saved.
@Suite("Memory of caches that choose of a prompt")
struct PromptMemoryTests {
  @Test(
    "bytes are known, fall with the prompt's end, and do not depend on the prompt's length",
    arguments: PromptSubject.voting + PromptSubject.others)
  func bytes(plan: String) throws {
    let subject = try PromptSubject(plan, slotType: .float16, count: 3000)
    let prompt = try #require(subject.plan.prompt)
    var after: Set<Int> = []
    for count in [1100, 2300, 3000] {
      let cache = try subject.makeCache()
      cache.fill(tokens: count, kernels: InstructionSet.current)
      let before = cache.bytes
      #expect(before == KVCache.bytes(plan: subject.plan, shape: subject.shape, slotType: .float16, tokens: count))
      subject.finish(cache)
      let queries = prompt.mode == .once || prompt.voters == 0 ? 0 : 3 * 4 * 4 * (prompt.window * 32 + 1)
      let kept = cache.heldTokens
      #expect(kept == prompt.keptTokens(of: count))
      // Panels are whole, in each head.
      let heads = 3 * subject.shape.keyValueHeads
      let perSlot = 2 * 32 * 2 + PackedSlots.bytesPerCount(isCounted: prompt.centers != nil)
      let least = kept * heads * perSlot + queries
      #expect(least...least + heads * 15 * perSlot ~= cache.bytes, "\(plan) after \(count)")
      #expect(cache.bytes < before)
      after.insert(cache.bytes)
      cache.beginStep(tokens: 1)
      #expect(cache.heldTokens == kept + 1 && cache.tokenCount == count + 1)
      let block = KVCache.bytes(plan: .full, shape: subject.shape, slotType: .float16, tokens: 1)
      #expect(after.contains(cache.bytes - block))
      cache.reset()
      #expect(cache.bytes == KVCache.bytes(plan: subject.plan, shape: subject.shape, slotType: .float16, tokens: 0))
    }
    // Which head has how many of an uneven budget depends on the votes, and so do the gaps in their panels.
    if case .tokens = prompt.size, prompt.heads == .uniform { #expect(after.count == 1, "\(plan)") }
  }

  @Test(
    "snapshots continue bit for bit, before the vote and after it",
    arguments: PromptSubject.voting + PromptSubject.others, KVCache.SlotType.allCases
  )
  func snapshots(plan: String, slotType: KVCache.SlotType) throws {
    let subject = try PromptSubject(plan, slotType: slotType)
    let taken = try subject.makeCache()
    for saved in [3, 149] {
      let cache = try subject.makeCache()
      subject.run(cache, saved)
      try taken.restore(cache.snapshot())
      #expect(taken.bytes == cache.bytes)
      for cache in [cache, taken] {
        subject.run(cache, 150 - saved)
        subject.finish(cache)
      }
      #expect(taken.snapshot() == cache.snapshot(), "\(plan) \(slotType) after \(saved)")
      subject.run(cache, 9)
      try taken.restore(cache.snapshot())
      #expect(taken.bytes == cache.bytes)
      #expect(subject.run(taken, 20, .sizes([1, 1, 6])) == subject.run(cache, 20, .sizes([1, 1, 6])))
      for cache in [cache, taken] { subject.finish(cache) }
      #expect(taken.snapshot() == cache.snapshot(), "\(plan) \(slotType) after \(saved)")
    }
    taken.reset()
    let fresh = try subject.makeCache()
    #expect(taken.snapshot() == fresh.snapshot())
    for cache in [taken, fresh] {
      subject.run(cache, 150)
      subject.finish(cache)
    }
    #expect(subject.run(taken, 20) == subject.run(fresh, 20))
  }

  @Test(
    "hostile counters under a right checksum never crash",
    arguments: [
      "snapkv:20[window=3]", "snapkv:20[window=3,heads=adaptive,mode=every-prefill]",
      "k-center:20[window=3,recompress=3]",
    ])
  func hostile(plan: String) throws {
    let subject = try PromptSubject(plan, group: 1, keyValueHeads: 1)
    for isFinished in [false, true] {
      let cache = try subject.makeCache()
      subject.run(cache, 40)
      if isFinished {
        subject.finish(cache)
        subject.run(cache, 2)
      }
      let forge = SnapshotForge(cache.snapshot())
      let values: [Int64] = [.min, -1, 0, 1, 2, 3, 19, 20, 40, 42, 43, 1 << 31, (1 << 31) - 2, 1 << 40, .max / 2, .max]
      for first in forge.counters.indices {
        for second in first..<forge.counters.count {
          for value in values {
            for other in values {
              let target = try subject.makeCache()
              let forged = forge.with([first: value].merging([second: other]) { $1 })
              do throws(KVCacheError) { try target.restore(forged) } catch { continue }
              #expect(target.bytes <= 1 << 20)
              subject.finish(target)
              _ = subject.attention.run(target, subject.sequence, tokens: 0..<5, chunking: .whole)
              subject.finish(target)
            }
          }
        }
      }
    }
  }
}
