import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Taking tokens back over the end of a prompt, whose cut gave most of it up.
@Suite("Taking back a prompt's cut")
struct PromptUndoTests {
  static let plans = [
    "snapkv:20[window=7]", "snapkv:20[window=7,heads=adaptive]", "snapkv:20[window=7,mode=every-prefill]",
    "snapkv[ratio=0.5,window=3,layers=pyramid,heads=adaptive,mode=every-prefill]",
    "prompt:20[choose=random,window=7]", "k-center:20[window=7]", "k-center:20[window=7,mode=every-prefill]",
    "k-center:20[window=7,recompress=9]", "h2o:20[prompt=whole]", "tova:20[prompt=whole,sinks=0]",
  ]

  private func makeCache(_ subject: PromptSubject, depth: Int) throws -> KVCache {
    let cache = try subject.makeCache()
    try cache.keepUndoLog(depth: depth)
    return cache
  }

  @Test(
    "back to before the answer the cut stays, back to inside the prompt it is whole again", arguments: plans,
    KVCache.SlotType.allCases)
  func overTheCut(plan: String, slotType: KVCache.SlotType) throws {
    let subject = try PromptSubject(plan, slotType: slotType)
    let cache = try makeCache(subject, depth: 300)
    subject.run(cache, 50, .sizes([10]))
    let inside = cache.snapshot()
    subject.run(cache, 50, .sizes([10]))
    let whole = cache.snapshot()
    subject.finish(cache)
    let (cut, held) = (cache.snapshot(), cache.heldTokens)
    #expect(cut != whole)
    subject.run(cache, 10, .ones)
    #expect(cache.undoableTokens == 110)

    #expect(try cache.rollBack(tokens: 10) == 10)
    #expect(cache.heldTokens == held && cache.tokenCount == 100)
    #expect(cache.snapshot() == cut, "\(plan) \(slotType)")

    #expect(try cache.rollBack(tokens: 50) == 50)
    #expect(cache.heldTokens == 50 && cache.tokenCount == 50)
    #expect(cache.snapshot() == inside, "\(plan) \(slotType)")

    try goesOnLikeFresh(cache, subject)
  }

  /// Other tokens from here on: as in a cache that never saw those that were taken back.
  private func goesOnLikeFresh(_ cache: KVCache, _ subject: PromptSubject) throws {
    let fresh = try makeCache(subject, depth: 300)
    subject.run(fresh, 50, .sizes([10]))
    let bytes = cache.bytes
    let others = TokenSequence(
      shape: subject.shape, positions: subject.sequence.positions, count: 220, seed: 99)
    for cache in [cache, fresh] { #expect(cache.bytes == bytes) }
    for count in [40, 25] {
      #expect(subject.run(cache, count, .sizes([9]), others) == subject.run(fresh, count, .sizes([9]), others))
      #expect(subject.chosen(cache) == subject.chosen(fresh))
      for cache in [cache, fresh] { subject.finish(cache) }
      #expect(cache.snapshot() == fresh.snapshot(), "\(subject.plan) \(subject.slotType)")
    }
    #expect(subject.run(cache, 9, .ones, others) == subject.run(fresh, 9, .ones, others))
    #expect(cache.snapshot() == fresh.snapshot(), "\(subject.plan) \(subject.slotType)")
  }

  @Test("step for step over prompts and answers the cache is as it was", arguments: plans)
  func stepForStep(plan: String) throws {
    let subject = try PromptSubject(plan)
    let cache = try makeCache(subject, depth: 200)
    var before: [(tokens: Int, snapshot: [UInt8])] = []
    let note = {
      // What is compressed before a step stays so when only that is taken back.
      cache.settle(team: subject.team, kernels: .current)
      before.append((Int(cache.tokenCount), cache.snapshot()))
    }
    for (prompt, answer) in [(60, 6), (30, 9), (3, 20)] {
      for size in Chunking.sizes([17]).sizes(prompt) {
        let end = Int(cache.tokenCount) + size
        while cache.tokenCount < end {
          note()
          subject.run(cache, cache.admissibleChunk(end - Int(cache.tokenCount)), .whole)
        }
      }
      subject.finish(cache)
      for _ in 0..<answer {
        note()
        subject.run(cache, 1)
      }
    }
    for (tokens, snapshot) in before.reversed() {
      try cache.rollBack(tokens: Int(cache.tokenCount) - tokens)
      #expect(cache.tokenCount == Int64(tokens))
      #expect(cache.snapshot() == snapshot, "\(plan), back at \(tokens)")
    }
  }

  @Test("what a cut gave up is held and counted until it is too long ago")
  func memory() throws {
    let subject = try PromptSubject("snapkv:20[window=7]", slotType: .float16)
    let cache = try makeCache(subject, depth: 30)
    subject.run(cache, 100, .sizes([10]))
    let before = cache.bytes
    subject.finish(cache)
    let kept = cache.bytes
    #expect(kept > before)
    // The log has room for the prompt's last step beside 20 tokens.
    subject.run(cache, 20, .ones)
    #expect(cache.bytes > before && cache.undoableTokens == 30)
    // Then that is forgotten, and the cut with it.
    subject.run(cache, 1, .ones)
    #expect(cache.bytes < before && cache.undoableTokens == 21)
    try cache.rollBack(tokens: 21)
    #expect(cache.heldTokens == 20 && cache.tokenCount == 100)
  }

  @Test("a log that begins after a prompt's cut serves the next sequence")
  func logAfterTheCut() throws {
    let subject = try PromptSubject("snapkv:20[window=7]")
    let cache = try subject.makeCache()
    subject.run(cache, 100)
    subject.finish(cache)
    try cache.keepUndoLog(depth: 20)
    cache.reset()
    subject.run(cache, 30, .sizes([10]))
    let before = cache.snapshot()
    subject.run(cache, 15, .sizes([4, 1]))
    try cache.rollBack(tokens: 15)
    #expect(cache.snapshot() == before)
  }

  @Test("heads that follow other stages take a cut back together")
  func divided() throws {
    let subject = try PromptSubject("snapkv:20[window=7]")
    let division = HeadDivision(
      description: "divided", mask: try HeadMask(text: "0 1\n1 0\n1 1", name: "mask.tsv"), share: 0.5,
      others: try KVCache.Plan("h2o:16").stages)
    let cache = try subject.makeCache(KVCache.Plan(stages: subject.plan.stages, division: division))
    try cache.keepUndoLog(depth: 100)
    subject.run(cache, 60, .sizes([10]))
    let inside = cache.snapshot()
    subject.run(cache, 30, .sizes([10]))
    subject.finish(cache)
    let cut = cache.snapshot()
    subject.run(cache, 10, .ones)
    try cache.rollBack(tokens: 10)
    #expect(cache.snapshot() == cut)
    try cache.rollBack(tokens: 30)
    #expect(cache.snapshot() == inside)
  }
}
