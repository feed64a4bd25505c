import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Snapshots whose checksums are right and whose sections are not.
@Suite("Snapshots of other sections")
struct HostileSnapshotTests {
  typealias Subject = MatrixSubject

  static let plans = [
    "full", "streaming-llm:4+12", "h2o:16", "quest:32[dense-layers=1]", "snapkv:20[window=7]", "k-center:20[window=7]",
    "sinks:2,window:7,clusters:9", "sinks:1,window:6,uniform:8", "window:7,moments:3",
    "segment:7,compressive[gate=-1]",
  ]

  /// One layer, so that no name of a section is right by chance.
  private static let small = KVCache.Shape(layers: 1, queryHeads: 2, keyValueHeads: 2, headDim: 32)

  let attention: LocalAttention
  let lone: LocalAttention

  init() throws {
    attention = try Subject.attention(threads: 1)
    lone = LocalAttention(shape: Self.small, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
  }

  private func makeCache(_ plan: KVCache.Plan, tokens: Int, slotType: KVCache.SlotType = .float16) throws -> KVCache {
    let cache = try KVCache(plan: plan, shape: Subject.shape, slotType: slotType, positions: Subject.positions)
    _ = attention.run(cache, Subject.sequence, tokens: 0..<tokens, chunking: .sizes([9]))
    attention.endPrompt(of: cache)
    _ = attention.run(cache, Subject.sequence, tokens: tokens..<tokens + 3, chunking: .ones)
    return cache
  }

  private func makeSmallCache(_ plan: String, tokens: Int) throws -> KVCache {
    let cache = try KVCache(
      plan: KVCache.Plan(plan), shape: Self.small, slotType: .q8_0, positions: Subject.positions)
    let sequence = TokenSequence(shape: Self.small, positions: Subject.positions, count: 64, seed: 3)
    _ = lone.run(cache, sequence, tokens: 0..<tokens, chunking: .sizes([9]))
    lone.endPrompt(of: cache)
    return cache
  }

  private static func divided() throws -> KVCache.Plan {
    let division = HeadDivision(
      description: "divided", mask: try HeadMask(text: "0 1\n1 0", name: "mask.tsv"), share: 0.5,
      others: try KVCache.Plan("streaming-llm:4+12").stages)
    return KVCache.Plan(stages: try KVCache.Plan("h2o:16").stages, division: division)
  }

  private func refusal(of snapshot: [UInt8], by cache: KVCache) -> String? {
    do throws(KVCacheError) {
      try cache.restore(snapshot)
      return nil
    } catch {
      return error.description
    }
  }

  /// All plans, and heads that follow two.
  private static func allPlans() throws -> [KVCache.Plan] {
    try plans.map { try KVCache.Plan($0) } + [divided()]
  }

  @Test("a section that is missing, or comes twice, is named, and the cache stays as it was")
  func missingAndDoubled() throws {
    for plan in try Self.allPlans() {
      let forge = SnapshotForge(try makeCache(plan, tokens: 30).snapshot())
      let cache = try makeCache(plan, tokens: 10)
      let before = cache.snapshot()
      #expect(forge.sections.count >= 3)
      for (index, section) in forge.sections.enumerated() {
        var missing = forge
        missing.sections.remove(at: index)
        let message = try #require(refusal(of: missing.snapshot, by: cache), "\(plan), section \(index)")
        // Without its slots a prompt claims more than there is.
        let isNamed = message.hasSuffix("is missing") || message.hasSuffix("of a prompt, more than it has")
        #expect(section.isCounters ? message.hasSuffix("are missing") : isNamed, "\(plan): \(message)")
        for place in [0, index, forge.sections.count] {
          var doubled = forge
          doubled.sections.insert(section, at: place)
          #expect(refusal(of: doubled.snapshot, by: cache) != nil, "\(plan), section \(index) at \(place)")
        }
      }
      var none = forge
      none.sections = []
      #expect(refusal(of: none.snapshot, by: cache) != nil, "\(plan)")
      #expect(cache.snapshot() == before, "\(plan)")
    }
  }

  @Test("sections in another order are the same cache")
  func order() throws {
    var random = SplitMix64(seed: 4)
    for plan in try Self.allPlans() {
      let snapshot = try makeCache(plan, tokens: 30).snapshot()
      let forge = SnapshotForge(snapshot)
      for sections in [forge.sections.reversed(), forge.sections.shuffled(using: &random)] {
        var other = forge
        other.sections = sections
        let cache = try makeCache(plan, tokens: 10)
        #expect(refusal(of: other.snapshot, by: cache) == nil, "\(plan)")
        #expect(cache.snapshot() == snapshot, "\(plan)")
      }
    }
  }

  @Test("a section with another name is refused, whatever stands in it")
  func names() throws {
    for plan in try Self.allPlans() {
      let forge = SnapshotForge(try makeCache(plan, tokens: 30).snapshot())
      let cache = try makeCache(plan, tokens: 10)
      let before = cache.snapshot()
      for index in forge.sections.indices {
        let changes: [(inout SnapshotForge.Section) -> Void] = [
          { $0.group = 2 }, { $0.group = .max }, { $0.layer = 2 }, { $0.layer = -2 }, { $0.layer = .min },
          { $0.layer = .max }, { $0.block = 7 }, { $0.block = .max }, { $0.state = "" }, { $0.state = "Slots" },
          { $0.state = "undo" }, { $0.state = "tokens" }, { $0.state = "pages" },
          { $0.state = $0.isCounters ? "slots" : "counters" }, { $0.layer = $0.isCounters ? 0 : -1 },
          { $0.state = String(repeating: "s", count: 100_000) },
        ]
        for (number, change) in changes.enumerated() {
          var other = forge
          change(&other.sections[index])
          #expect(refusal(of: other.snapshot, by: cache) != nil, "\(plan), section \(index), change \(number)")
        }
        // An unknown one beside all the others.
        var more = forge
        more.sections.insert(
          SnapshotForge.Section(layer: 0, state: "other", bytes: [1, 2, 3]), at: index)
        #expect(
          refusal(of: more.snapshot, by: cache) == "cache snapshot: other of layer 0 in group 0 does not belong to it")
      }
      #expect(cache.snapshot() == before, "\(plan)")
    }
  }

  @Test("a section of another length is refused")
  func lengths() throws {
    for plan in try Self.allPlans() {
      let forge = SnapshotForge(try makeCache(plan, tokens: 30).snapshot())
      let cache = try makeCache(plan, tokens: 10)
      let before = cache.snapshot()
      for (index, section) in forge.sections.enumerated() {
        let bytes = section.bytes
        for other in [
          [], Array(bytes.prefix(7)), Array(bytes.dropLast(8)), Array(bytes.dropLast()), bytes + [0], bytes + bytes,
        ] where other.count != bytes.count {
          var forged = forge
          forged.sections[index].set(other)
          #expect(refusal(of: forged.snapshot, by: cache) != nil, "\(plan), section \(index), \(other.count) bytes")
        }
      }
      #expect(cache.snapshot() == before, "\(plan)")
    }
  }

  /// The fields of the header, taken apart by hand.
  private func header(of snapshot: [UInt8]) -> [UInt8] {
    var reader = ByteList(snapshot)
    reader.offset = 12
    let length = Int(reader.take(UInt32.self))
    return Array(snapshot[16..<16 + length])
  }

  @Test("a header cut at any length, or with any bit changed, is refused under a right checksum", arguments: plans)
  func headers(plan: String) throws {
    let snapshot = try makeSmallCache(plan, tokens: 30).snapshot()
    let cache = try makeSmallCache(plan, tokens: 11)
    let (forge, header, before) = (SnapshotForge(snapshot), header(of: snapshot), cache.snapshot())
    #expect(forge.snapshot(header: header) == snapshot)
    for length in 0..<header.count {
      if refusal(of: forge.snapshot(header: Array(header[..<length])), by: cache) == nil {
        Issue.record("taken with \(length) bytes of its header")
      }
    }
    for bit in 0..<header.count * 8 {
      var damaged = header
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      if refusal(of: forge.snapshot(header: damaged), by: cache) == nil {
        Issue.record("taken with bit \(bit) of its header changed")
      }
    }
    #expect(refusal(of: forge.snapshot(header: header + [0]), by: cache) == "cache snapshot: its header is too long")
    #expect(cache.snapshot() == before)
  }

  @Test("counts of sections, stages and counters are not believed", arguments: plans)
  func counts(plan: String) throws {
    let cache = try makeCache(try KVCache.Plan(plan), tokens: 30)
    let before = cache.snapshot()
    let (forge, header) = (SnapshotForge(before), header(of: before))
    let sectionCount = 4 + forge.identity.utf8.count
    let claims: [UInt32] = [0, 1, 2, 3, 1000, 1 << 16, 1 << 28, .max / 2, .max - 1, .max]
    for claim in claims where Int(claim) != forge.sections.count {
      var other = header
      other.replaceSubrange(sectionCount..<sectionCount + 4, with: ByteList(claim).bytes)
      #expect(refusal(of: forge.snapshot(header: other), by: cache) != nil, "\(claim) sections")
    }
    let counters = try #require(forge.sections.firstIndex { $0.isCounters })
    var places = [8]
    var reader = ByteList(forge.sections[counters].bytes)
    reader.offset = 8
    for _ in 0..<reader.take(UInt32.self) {
      places.append(reader.offset)
      let count = Int(reader.take(UInt32.self))
      reader.offset += 8 * count
    }
    for place in places {
      reader.offset = place
      let right = reader.take(UInt32.self)
      for claim in claims where claim != right {
        var other = forge
        other.sections[counters].write(claim, at: place)
        #expect(refusal(of: other.snapshot, by: cache) != nil, "\(claim) at \(place)")
      }
    }
    #expect(cache.snapshot() == before)
  }

  @Test("damaged states under right checksums never crash", arguments: plans)
  func damagedStates(plan: String) throws {
    var random = SplitMix64(seed: 6)
    let forge = SnapshotForge(try makeSmallCache(plan, tokens: 30).snapshot())
    let sequence = TokenSequence(shape: Self.small, positions: Subject.positions, count: 64, seed: 3)
    for index in forge.sections.indices {
      let bytes = forge.sections[index].bytes
      guard !bytes.isEmpty else { continue }
      for trial in 0..<400 {
        var damaged = bytes
        let start = trial < 100 ? trial % bytes.count : Int.random(in: 0..<bytes.count, using: &random)
        for place in start..<min(bytes.count, start + [1, 2, 4, 8][trial % 4]) {
          damaged[place] = [0, 0xff, 0x7f, 0x80, UInt8.random(in: 0...255, using: &random)][trial / 4 % 5]
        }
        var forged = forge
        forged.sections[index].set(damaged)
        let cache = try makeSmallCache(plan, tokens: 3)
        let before = cache.snapshot()
        if refusal(of: forged.snapshot, by: cache) != nil {
          #expect(cache.snapshot() == before)
        } else {
          #expect(cache.bytes <= 1 << 20)
          _ = lone.run(cache, sequence, tokens: 0..<6, chunking: .sizes([4, 1]))
          lone.endPrompt(of: cache)
        }
      }
    }
  }
}
