import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Which sections a step changes.
@Suite("Sections that have changed")
struct ChangedSectionsTests {
  /// A cache and what drives it; more tokens than the largest block has slots.
  private struct Driver {
    let cache: KVCache
    let attention: LocalAttention
    let sequence: TokenSequence

    init(_ plan: String, slotType: KVCache.SlotType = .float16) throws {
      let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 32)
      sequence = TokenSequence(shape: shape, positions: Subject.positions, count: 2400, seed: 5)
      attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
      cache = try KVCache(plan: KVCache.Plan(plan), shape: shape, slotType: slotType, positions: Subject.positions)
    }

    func run(to end: Int, _ chunking: Chunking) {
      _ = attention.run(cache, sequence, tokens: Int(cache.tokenCount)..<end, chunking: chunking)
    }
  }

  typealias Subject = MatrixSubject

  /// The sections that are new, or whose bytes differ.
  private func differing(_ cache: KVCache, from earlier: RestorationTests.Shelf) throws -> Set<SectionName> {
    let now = try RestorationTests.Shelf(cache)
    return Set(now.names.filter { now.bytes[$0] != earlier.bytes[$0] })
  }

  @Test(
    "are exactly those whose bytes differ",
    arguments: [
      "full", "streaming-llm:4+12", "h2o:16", "quest:32[dense-layers=1]", "sinks:3,window:7,pages:32[dense-layers=0]",
      "sinks:3,tokens", "window:7,tokens", "window:70,tokens", "sinks:2,window:5,clusters:9", "cascading:28/3",
    ])
  func exactly(plan: String) throws {
    let ends = [
      1, 5, 20, 63, 64, 65, 66, 127, 128, 129, 200, 256, 257, 300, 512, 513, 1023, 1024, 1025, 1100, 2048, 2230,
    ]
    for step in [1, 9, 130] {
      let driver = try Driver(plan)
      // A summary counts as changed even while nothing melts.
      let first = plan.contains("clusters") ? 20 : 0
      for end in ends where end >= max(first, Int(driver.cache.tokenCount)) {
        driver.run(to: end, .sizes([64]))
        let shelf = try RestorationTests.Shelf(driver.cache)
        #expect(driver.cache.changedSections(since: Int64(end)).isEmpty)
        driver.run(to: end + step, .sizes([1, step]))
        let changed = driver.cache.changedSections(since: Int64(end))
        #expect(Set(changed) == (try differing(driver.cache, from: shelf)), "\(plan), \(step) tokens after \(end)")
        #expect(changed.count == Set(changed).count)
      }
    }
  }

  @Test(
    "what was chosen of a prompt stays as it is while the answer grows",
    arguments: [
      "snapkv:20[window=7]", "snapkv:20[window=7,heads=adaptive,mode=every-prefill]", "k-center:20[window=7]",
      "prompt:20[choose=random,window=7]",
    ])
  func answer(plan: String) throws {
    let driver = try Driver(plan)
    driver.run(to: 100, .sizes([30]))
    driver.attention.endPrompt(of: driver.cache)
    for end in [101, 110, 163, 170, 226, 230, 400, 1123, 1200] {
      driver.run(to: end, .sizes([50]))
      let shelf = try RestorationTests.Shelf(driver.cache)
      driver.run(to: end + 3, .ones)
      let changed = Set(driver.cache.changedSections(since: Int64(end)))
      #expect(changed == (try differing(driver.cache, from: shelf)), "\(plan) after \(end)")
    }
  }

  @Test(
    "the end of a prompt changes what is held, though no token comes",
    arguments: ["snapkv:20[window=7]", "k-center:20[window=7]"])
  func cut(plan: String) throws {
    let driver = try Driver(plan)
    driver.run(to: 100, .sizes([30]))
    let shelf = try RestorationTests.Shelf(driver.cache)
    driver.attention.endPrompt(of: driver.cache)
    let changed = Set(driver.cache.changedSections(since: 100))
    #expect(changed.isSuperset(of: try differing(driver.cache, from: shelf)))
    // Someone who has looked at the cache before the cut still finds everything.
    driver.run(to: 180, .ones)
    for since in [40, 100] as [Int64] {
      #expect(Set(driver.cache.changedSections(since: since)) == Set(driver.cache.sections()))
    }
  }

  @Test("a cache whose past is compressed again changes with it")
  func recompression() throws {
    let driver = try Driver("k-center:20[window=7,recompress=90]")
    driver.run(to: 100, .sizes([30]))
    driver.attention.endPrompt(of: driver.cache)
    for end in stride(from: 101, to: 400, by: 13) {
      driver.run(to: end, .ones)
      let shelf = try RestorationTests.Shelf(driver.cache)
      driver.run(to: end + 12, .ones)
      let changed = Set(driver.cache.changedSections(since: Int64(end)))
      #expect(changed == (try differing(driver.cache, from: shelf)), "after \(end)")
    }
  }
}
