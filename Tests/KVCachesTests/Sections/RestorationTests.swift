import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches that are taken up section by section.
@Suite("Sections")
struct RestorationTests {
  typealias Subject = MatrixSubject

  /// Keeps sections as they come.
  struct Shelf: SectionSink {
    private(set) var names: [SectionName] = []
    private(set) var bytes: [SectionName: [UInt8]] = [:]

    mutating func write(_ name: SectionName, _ bytes: UnsafeRawBufferPointer) throws {
      names.append(name)
      self.bytes[name] = Array(bytes)
    }

    /// All sections of a cache.
    init(_ cache: KVCache) throws { try cache.write(cache.sections(), to: &self) }

    var counters: [SectionName] { names.filter { $0.layer < 0 } }
    var others: [SectionName] { names.filter { $0.layer >= 0 } }
    var payload: Int { others.reduce(0) { $0 + (bytes[$1]?.count ?? 0) } }

    /// Begins to have a cache take up what was kept.
    func restoration(of cache: KVCache) throws -> Restoration {
      // Typed throws do not pass through `withUnsafeBytes`.
      let counters = counters.map { name in
        UnsafeMutableRawBufferPointer.copy(bytes[name] ?? [])
      }
      defer { for counter in counters { counter.deallocate() } }
      return try Restoration(cache, counters: counters.map { UnsafeRawBufferPointer($0) }, payload: payload)
    }

    /// Hands over one section.
    func give(_ name: SectionName, to restoration: Restoration) throws {
      try (bytes[name] ?? []).withUnsafeBytes { try restoration.take(name, $0) }
    }
  }

  private func makeCache(_ plan: KVCache.Plan, _ slotType: KVCache.SlotType = .float16) throws -> KVCache {
    try KVCache(plan: plan, shape: Subject.shape, slotType: slotType, positions: Subject.positions)
  }

  /// A cache that has read a prompt of `prompt` tokens and `answer` more.
  private func fed(
    _ plan: KVCache.Plan, _ slotType: KVCache.SlotType = .float16, prompt: Int = 30, answer: Int = 5,
    by attention: LocalAttention
  ) throws -> KVCache {
    let cache = try makeCache(plan, slotType)
    _ = attention.run(cache, Subject.sequence, tokens: 0..<prompt, chunking: .sizes([7]))
    attention.endPrompt(of: cache)
    _ = attention.run(cache, Subject.sequence, tokens: prompt..<prompt + answer, chunking: .ones)
    return cache
  }

  private static func divided(_ first: String, _ others: String) throws -> KVCache.Plan {
    let division = HeadDivision(
      description: "\(first)|\(others)", mask: try HeadMask(text: "0 1\n1 0", name: "mask.tsv"), share: 0.5,
      others: try KVCache.Plan(others).stages)
    return KVCache.Plan(stages: try KVCache.Plan(first).stages, division: division)
  }

  @Test(
    "layers are taken up in any order, and the cache changes only at the end", arguments: StageMatrix.plans)
  func anyOrder(plan: String) throws { try check(try KVCache.Plan(plan)) }

  @Test("heads that follow other stages are taken up together")
  func groups() throws {
    for (first, others) in [("snapkv:20[window=7]", "streaming-llm:2+9"), ("h2o:16", "sinks:1,window:6,uniform:8")] {
      try check(try Self.divided(first, others))
    }
  }

  private func check(_ plan: KVCache.Plan) throws {
    let attention = try Subject.attention(threads: 1)
    var random = SplitMix64(seed: 5)
    for answer in [0, 5] {
      let cache = try fed(plan, answer: answer, by: attention)
      let shelf = try Shelf(cache)
      let expected = cache.snapshot()
      for order in [shelf.others, shelf.others.reversed(), shelf.others.shuffled(using: &random)] {
        let target = try fed(plan, prompt: 11, by: attention)
        let before = target.snapshot()
        let restoration = try shelf.restoration(of: target)
        #expect(restoration.missingSections == Set(shelf.others))
        for (index, name) in order.enumerated() {
          #expect(throws: KVCacheError.self, "\(plan)") { try restoration.finish() }
          try shelf.give(name, to: restoration)
          #expect(restoration.missingSections == Set(order[(index + 1)...]))
          #expect(throws: KVCacheError.self, "\(plan)") { try shelf.give(name, to: restoration) }
        }
        #expect(target.snapshot() == before && target.tokenCount == 16, "\(plan)")
        try restoration.finish()
        #expect(target.snapshot() == expected, "\(plan)")
        let rest = 30 + answer..<64
        #expect(
          attention.run(target, Subject.sequence, tokens: rest, chunking: .sizes([1, 1, 6]))
            == attention.run(
              try restored(expected, plan), Subject.sequence, tokens: rest, chunking: .sizes([1, 1, 6])), "\(plan)")
      }
    }
  }

  private func restored(_ snapshot: [UInt8], _ plan: KVCache.Plan) throws -> KVCache {
    let cache = try makeCache(plan)
    try cache.restore(snapshot)
    return cache
  }

  @Test("a section that is not asked for, or not of the right length, changes nothing")
  func wrongSections() throws {
    let attention = try Subject.attention(threads: 1)
    for plan in ["full", "h2o:16", "snapkv:20[window=7]", "window:5,clusters:18[positions=original]"] {
      let shelf = try Shelf(try fed(try KVCache.Plan(plan), by: attention))
      let target = try fed(try KVCache.Plan(plan), prompt: 11, by: attention)
      let before = target.snapshot()
      let first = try #require(shelf.others.first)
      for name in [
        SectionName(group: 1, layer: first.layer, state: first.state, block: first.block),
        SectionName(group: -1, layer: first.layer, state: first.state, block: first.block),
        SectionName(group: 0, layer: 2, state: first.state, block: first.block),
        SectionName(group: 0, layer: -1, state: first.state, block: first.block),
        SectionName(group: 0, layer: first.layer, state: "other", block: first.block),
        SectionName(group: 0, layer: first.layer, state: first.state, block: 99), shelf.counters[0],
      ] {
        let restoration = try shelf.restoration(of: target)
        #expect(throws: KVCacheError.self, "\(plan), \(name)") {
          try (shelf.bytes[first] ?? []).withUnsafeBytes { try restoration.take(name, $0) }
        }
      }
      for name in shelf.others {
        let bytes = shelf.bytes[name] ?? []
        for other in [Array(bytes.dropLast()), bytes + [0], []] where other.count != bytes.count {
          let restoration = try shelf.restoration(of: target)
          #expect(throws: KVCacheError.self, "\(plan), \(name)") {
            try other.withUnsafeBytes { try restoration.take(name, $0) }
          }
        }
      }
      #expect(target.snapshot() == before, "\(plan)")
    }
  }

  @Test("counters of another number of groups, or of groups that have seen other tokens, are refused")
  func wrongCounters() throws {
    let attention = try Subject.attention(threads: 1)
    let plan = try Self.divided("full", "streaming-llm:4+12")
    let (shelf, later) = (
      try Shelf(try fed(plan, by: attention)), try Shelf(try fed(plan, answer: 6, by: attention))
    )
    let target = try makeCache(plan)
    let bytes = { (shelf: Shelf, group: Int) in shelf.bytes[shelf.counters[group]] ?? [] }
    let cases: [[[UInt8]]] = [
      [], [bytes(shelf, 0)], [bytes(shelf, 0), bytes(shelf, 1), bytes(shelf, 1)],
      [bytes(shelf, 1), bytes(shelf, 0)], [bytes(shelf, 0), bytes(later, 1)],
    ]
    for (index, counters) in cases.enumerated() {
      let copies = counters.map { UnsafeMutableRawBufferPointer.copy($0) }
      defer { for copy in copies { copy.deallocate() } }
      #expect(throws: KVCacheError.self, "case \(index)") {
        try Restoration(target, counters: copies.map { UnsafeRawBufferPointer($0) }, payload: shelf.payload)
      }
    }
    #expect(target.tokenCount == 0)
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Memory of its own with some bytes, to be deallocated by the caller.
  fileprivate static func copy(_ bytes: [UInt8]) -> UnsafeMutableRawBufferPointer {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    copy.copyBytes(from: bytes)
    return copy
  }
}
