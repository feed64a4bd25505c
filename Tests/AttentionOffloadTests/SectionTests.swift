import AttentionOffload
import CacheTestSupport
import KVCaches
import Kernels
import TestSupport
import Testing

/// What a cache remembers, section by section.
struct CapturedSections: SectionSink {
  var bytes: [SectionName: [UInt8]] = [:]

  mutating func write(_ name: SectionName, _ contents: UnsafeRawBufferPointer) { bytes[name] = Array(contents) }

  init() {}

  init(_ cache: KVCache) throws {
    try cache.write(cache.listing(sinceSavedAt: nil).map(\.name), to: &self)
  }

  /// Has an empty cache be what was captured.
  ///
  /// - Returns: the sections that had to come.
  @discardableResult
  func restore(_ cache: KVCache, keptTokens: Int64 = 0) throws -> Set<SectionName> {
    let counters = bytes.keys.filter { $0.layer < 0 }.sorted { $0.group < $1.group }.compactMap { bytes[$0] }
    let copies = counters.map { counters in
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: counters.count, alignment: 8)
      copy.copyBytes(from: counters)
      return copy
    }
    defer { for copy in copies { copy.deallocate() } }
    let restoration = try Restoration(
      cache, counters: copies.map { UnsafeRawBufferPointer($0) }, payload: bytes.values.reduce(0) { $0 + $1.count },
      keptTokens: keptTokens)
    let missing = restoration.missingSections
    for name in missing {
      let section = try #require(bytes[name], "\(name)")
      try section.withUnsafeBytes { try restoration.take(name, $0) }
    }
    try restoration.finish()
    return missing
  }
}

@Suite("Sections of a sequence that workers keep")
struct SectionTests {
  private static let split = 45
  private static let promptEnd = 31

  private func local() throws -> LocalAttention {
    LocalAttention(layers: OffloadSubject.layers, team: try WorkerTeam(threads: 1), kernels: .current)
  }

  private func remote(_ division: WorkDivision) throws -> RemoteAttention {
    try TestWorkers(division.workers).attention(OffloadSubject.layers, division, options: .init(overlap: .always))
  }

  /// Divisions under which a plan can be kept.
  private func divisions(_ plan: KVCache.Plan) throws -> [WorkDivision] {
    try OffloadMatrixTests.divisions.filter { try remote($0).problem(with: plan) == nil }
  }

  /// Saved by workers of each division, taken up by those of the next one, which goes round; in the middle of a prompt and behind
  /// one.
  @Test("are those of one process, and any division takes them up", arguments: OffloadMatrixTests.plans)
  func everyPlan(text: String) throws {
    let plan = try KVCache.Plan(text, resolver: OffloadSubject.resolver)
    let (sequence, local, divisions) = (OffloadSubject.sequences[0], try local(), try divisions(plan))
    #expect(!divisions.isEmpty || plan.prompt?.recompression != nil)
    for (split, slotType) in [(Self.split, KVCache.SlotType.float16), (Self.split, .q8_0), (23, .float32)] {
      let cache = try local.makeMemory(plan, slotType: slotType)
      _ = local.run(cache, sequence, 0..<split, .sizes([16, 1]), promptEnd: Self.promptEnd)
      let expected = try CapturedSections(cache)
      let rest = local.run(cache, sequence, split..<72, .sizes([9, 1]), promptEnd: Self.promptEnd)
      for (index, division) in divisions.enumerated() {
        let what = "\(text) \(slotType) \(division)"
        let first = try remote(division)
        let memory = try first.makeMemory(plan, slotType: slotType)
        #expect(memory.identity == cache.identity)
        _ = first.run(memory, sequence, 0..<split, .sizes([16, 1]), promptEnd: Self.promptEnd)
        let saved = try CapturedSections(memory)
        #expect(Set(saved.bytes.keys) == Set(expected.bytes.keys), "\(what)")
        for (name, bytes) in expected.bytes { #expect(saved.bytes[name] == bytes, "\(name), \(what)") }
        let second = try remote(divisions[(index + 1) % divisions.count])
        let taken = try second.makeMemory(plan, slotType: slotType)
        try saved.restore(taken)
        #expect(taken.tokenCount == Int64(split) && taken.failure == nil, "\(what)")
        let outputs = second.run(taken, sequence, split..<72, .sizes([9, 1]), promptEnd: Self.promptEnd)
        #expect(taken.failure == nil && taken.heldTokens == cache.heldTokens, "\(what)")
        for (output, rest) in zip(outputs, rest) {
          if second.division.slots == 1 {
            #expect(output == rest, "\(what)")
          } else {
            #expect(relativeError(output, rest) < 1e-5, "\(what)")
          }
        }
      }
    }
  }

  @Test("that have changed since a save are those of one process", arguments: OffloadMatrixTests.plans)
  func changes(text: String) throws {
    let plan = try KVCache.Plan(text, resolver: OffloadSubject.resolver)
    let (sequence, local) = (OffloadSubject.sequences[0], try local())
    for division in try divisions(plan) {
      let (remote, cache) = (try remote(division), try local.makeMemory(plan, slotType: .float16))
      let memory = try remote.makeMemory(plan, slotType: .float16)
      for (index, end) in [20, 21, 40, 64, 66, 72].enumerated() {
        let tokens = Int(cache.tokenCount)..<end
        _ = local.run(cache, sequence, tokens, .sizes([16, 1]), promptEnd: Self.promptEnd)
        _ = remote.run(memory, sequence, tokens, .sizes([16, 1]), promptEnd: Self.promptEnd)
        let changed = { (cache: KVCache) in
          Set(
            try cache.listing(sinceSavedAt: index == 0 ? nil : Int64(tokens.lowerBound)).filter {
              $0.hasChanged && $0.name.layer >= 0
            }.map(\.name))
        }
        #expect(try changed(memory) == changed(cache), "\(text) \(division), \(tokens)")
        memory.noteSaved()
        cache.noteSaved()
      }
    }
  }

  /// One of two workers is lost; the other still has what was saved of it, and gets only what came since.
  @Test("that a worker still has need not come again", arguments: [WorkDivision(heads: 2), WorkDivision(slots: 2)])
  func kept(division: WorkDivision) throws {
    let workers = try TestWorkers(2)
    let remote = try workers.attention(OffloadSubject.layers, division, options: .init(overlap: .always))
    let memory = try remote.makeMemory(.full, slotType: .float16)
    let sequence = TokenSequence(
      shape: OffloadSubject.shape, positions: OffloadSubject.positions, count: 200, seed: 77)
    _ = remote.run(memory, sequence, 0..<150, .sizes([50]))
    let saved = try CapturedSections(memory)
    memory.noteSaved()
    let rest = remote.run(memory, sequence, 150..<200, .sizes([50]))
    let alone = workers.workers.map(\.heldBytes)
    workers.channels[1].last?.close()
    _ = remote.run(memory, sequence, 199..<200, .ones)
    #expect(memory.failure != nil)
    let received = workers.channels.map { $0.reduce(0) { $0 + $1.receivedBytes } }
    let missing = try saved.restore(memory, keptTokens: 150)
    #expect(memory.tokenCount == 150 && memory.failure == nil)
    let came = zip(workers.channels, received).map { $0.reduce(0) { $0 + $1.receivedBytes } - $1 }
    // Blocks of 64 and 64 tokens were full; of two layers only the third one's may have changed.
    #expect(came[0] < came[1], "\(came)")
    #expect(!missing.isEmpty)
    let outputs = remote.run(memory, sequence, 150..<200, .sizes([50]))
    for (output, rest) in zip(outputs, rest) { #expect(output == rest) }
    #expect(workers.workers.map(\.heldBytes) == alone)
  }

  @Test("that do not fit are refused, and the sequence can begin again")
  func refusals() throws {
    let (remote, sequence) = (try remote(WorkDivision(heads: 2)), OffloadSubject.sequences[0])
    let memory = try remote.makeMemory(KVCache.Plan("h2o:16"), slotType: .float16)
    let expected = remote.run(memory, sequence, 0..<40, .sizes([16, 1]))
    let good = try CapturedSections(memory)
    for name in good.bytes.keys {
      for change in [-1, 1] {
        var spoiled = good
        var bytes = spoiled.bytes[name] ?? []
        if change < 0 { bytes.removeLast() } else { bytes.append(0) }
        spoiled.bytes[name] = bytes
        #expect(throws: KVCacheError.self, "\(name)") { try spoiled.restore(memory) }
        memory.reset()
        #expect(memory.failure == nil && memory.tokenCount == 0)
      }
    }
    #expect(remote.run(memory, sequence, 0..<40, .sizes([16, 1])) == expected)
  }

  @Test("cannot be had of workers that only attend")
  func withoutAbility() throws {
    let workers = try TestWorkers(2)
    workers.hidesAbilities = true
    let remote = try workers.attention(OffloadSubject.layers, WorkDivision(heads: 2))
    let memory = try remote.makeMemory(.full, slotType: .float16)
    let sequence = OffloadSubject.sequences[0]
    _ = remote.run(memory, sequence, 0..<20, .whole)
    #expect(throws: KVCacheError.self) { try CapturedSections(memory) }
    // Attention goes on as if nobody had asked.
    _ = remote.run(memory, sequence, 20..<21, .whole)
    #expect(memory.failure == nil && memory.tokenCount == 21)
  }
}
