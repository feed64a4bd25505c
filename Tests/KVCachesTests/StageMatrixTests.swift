import CacheTestSupport
import KVCaches
import Kernels
import Testing

@Suite("Every cache with every slot type")
struct StageMatrixTests {
  @Test("prefill, decode, save and restore", arguments: StageMatrix.plans, KVCache.SlotType.allCases)
  func everyCache(plan: String, slotType: KVCache.SlotType) throws {
    let subject = MatrixSubject(
      plan: try KVCache.Plan(plan), slotType: slotType, attention: try MatrixSubject.attention(threads: 1))
    try subject.prefillEqualsDecode()
    try subject.snapshotContinuesBitForBit()
    try subject.resetEqualsFresh()
  }

  // Few plans: teams of tests that run side by side wait for each other.
  @Test("save and restore in a team of threads", arguments: ["full", "streaming-llm:4+12"])
  func inTeam(plan: String) throws {
    let attention = try MatrixSubject.attention(threads: 3)
    try MatrixSubject(plan: try KVCache.Plan(plan), slotType: .float16, attention: attention)
      .snapshotContinuesBitForBit()
  }
}

extension MatrixSubject {
  /// Drives tokens of the sequence through a cache, whose bytes and token count are as they are to be after each step.
  func run(_ cache: KVCache, _ tokens: Range<Int>, _ chunking: Chunking) -> [[Float]] {
    drive(cache, tokens, chunking) { seen in
      let bytes = bytes(tokens: seen)
      if cache.bytes != bytes || cache.tokenCount != Int64(seen) {
        Issue.record("\(plan) \(slotType) after \(seen) tokens: \(cache.bytes) bytes instead of \(bytes)")
      }
    }
  }

  /// Stages that let go in order show every token of a chunk what it would see alone; all give numbers.
  func prefillEqualsDecode() throws {
    let decoded = run(try makeCache(), 0..<64, .ones)
    #expect(decoded.allSatisfy { $0.allSatisfy(\.isFinite) })
    for chunking in [Chunking.random(largest: 30, seed: 2), .whole] {
      let filled = run(try makeCache(), 0..<64, chunking)
      #expect(filled.allSatisfy { $0.allSatisfy(\.isFinite) })
      guard plan.slidesExactly else { continue }
      let (error, place) = Self.shape.largestError(filled, decoded)
      #expect(error <= 1e-5, "\(plan) \(slotType) \(chunking): \(place)")
    }
  }

  func snapshotContinuesBitForBit() throws {
    for saved in [1, 5, 20, 47] {
      let cache = try makeCache()
      _ = run(cache, 0..<saved, .random(largest: 9, seed: 4))
      let snapshot = cache.snapshot()
      let taken = try makeCache()
      _ = run(taken, 0..<30, .ones)
      try taken.restore(snapshot)
      #expect(taken.snapshot() == snapshot, "\(plan) \(slotType) after \(saved)")
      let rest = Chunking.sizes([1, 1, 6, 1])
      #expect(run(taken, saved..<64, rest) == run(cache, saved..<64, rest), "\(plan) \(slotType) after \(saved)")
      #expect(taken.snapshot() == cache.snapshot(), "\(plan) \(slotType) after \(saved)")
    }
  }

  func resetEqualsFresh() throws {
    let used = try makeCache()
    _ = run(used, 0..<50, .sizes([9]))
    used.reset()
    #expect(used.snapshot() == (try makeCache().snapshot()), "a reset cache keeps nothing")
    #expect(used.heldTokens == 0)
    let fresh = try makeCache()
    #expect(run(used, 0..<21, .sizes([4])) == run(fresh, 0..<21, .sizes([4])), "\(plan) \(slotType)")
    #expect(used.snapshot() == fresh.snapshot(), "\(plan) \(slotType)")
  }
}
