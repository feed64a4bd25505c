import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

@Suite("Snapshots")
struct SnapshotTests {
  static let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 2)
  static let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 2, base: 10_000, layout: .halves))
  static let sequence = TokenSequence(shape: shape, positions: positions, count: 30, seed: 31)

  let attention: LocalAttention

  init() throws {
    attention = LocalAttention(
      shape: Self.shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
  }

  private func makeCache(
    _ plan: String, shape: KVCache.Shape = Self.shape, slotType: KVCache.SlotType = .float32,
    positions: PositionEncoding = Self.positions, tokens: Int = 0
  ) throws -> KVCache {
    let cache = try KVCache(plan: KVCache.Plan(plan), shape: shape, slotType: slotType, positions: positions)
    if tokens > 0 { _ = attention.run(cache, Self.sequence, tokens: 0..<tokens, chunking: .ones) }
    return cache
  }

  /// The message with which a cache refuses a snapshot; nil where it takes it.
  private func refusal(of snapshot: [UInt8], by cache: KVCache) -> String? {
    do throws(KVCacheError) {
      try cache.restore(snapshot)
      return nil
    } catch {
      return error.description
    }
  }

  @Test("cut off at any length, or with any byte damaged, it is refused and the cache stays as it was")
  func damaged() throws {
    let snapshot = try makeCache("sinks:1,window:3", tokens: 9).snapshot()
    let cache = try makeCache("sinks:1,window:3", tokens: 7)
    let before = cache.snapshot()
    for length in 0..<snapshot.count {
      if refusal(of: Array(snapshot[..<length]), by: cache) == nil { Issue.record("taken at \(length) bytes") }
    }
    for byte in snapshot.indices {
      var damaged = snapshot
      damaged[byte] ^= 1 << UInt8(byte % 8)
      if refusal(of: damaged, by: cache) == nil { Issue.record("taken with byte \(byte) damaged") }
      if cache.snapshot() != before { Issue.record("changed by a snapshot with byte \(byte) damaged") }
    }
    let undisturbed = try makeCache("sinks:1,window:3", tokens: 7)
    let rest = { (cache: KVCache) in
      attention.run(cache, Self.sequence, tokens: 7..<20, chunking: .sizes([3]))
    }
    #expect(rest(cache) == rest(undisturbed))
    #expect(refusal(of: snapshot, by: cache) == nil)
  }

  @Test("it is refused by a cache of another kind, with both named")
  func anotherKind() throws {
    let snapshot = try makeCache("sinks:1,window:3", tokens: 9).snapshot()
    let wide = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 4)
    let deep = KVCache.Shape(layers: 2, queryHeads: 1, keyValueHeads: 1, headDim: 2)
    let others = [
      try makeCache("sinks:1,window:4"), try makeCache("window:4"), try makeCache("full"),
      try makeCache("sinks:1,window:3", slotType: .float16),
      try makeCache("sinks:1,window:3", shape: wide), try makeCache("sinks:1,window:3", shape: deep),
      try makeCache("sinks:1,window:3", positions: .none),
      try makeCache("sinks:1,window:3", positions: .linearBias(slopes: [1])),
      try makeCache(
        "sinks:1,window:3", positions: .rotary(RotaryEmbedding(dim: 2, base: 10_000, layout: .interleaved))),
      try makeCache("sinks:1,window:3", positions: .rotary(RotaryEmbedding(frequencies: [0.5], layout: .halves))),
    ]
    for other in others {
      let message = try #require(refusal(of: snapshot, by: other))
      #expect(message.hasPrefix("cache snapshot: it belongs to 'sinks:1,window:3 f32 "), "\(message)")
    }
  }

  @Test("what is no snapshot, or one of another version, is named as such")
  func versions() throws {
    let cache = try makeCache("window:3", tokens: 5)
    let forge = SnapshotForge(cache.snapshot())
    let none = "cache snapshot: this is not a cache snapshot"
    #expect(refusal(of: [], by: cache) == none)
    #expect(refusal(of: Array("SLUICEKV".utf8), by: cache) == none)
    #expect(refusal(of: [UInt8](repeating: 7, count: 100), by: cache) == none)
    for version: UInt32 in [0, 1, 2, 4, .max] {
      var other = forge
      other.version = version
      #expect(
        refusal(of: other.snapshot, by: cache) == "cache snapshot: version \(version), this program reads 3")
    }
    #expect(forge.snapshot == cache.snapshot(), "the forge forges well")
    #expect(refusal(of: forge.with([:]), by: cache) == nil, "the forge forges well")
  }

  /// A snapshot of version 1: magic, version, the cache's identity, counters, slots, one checksum.
  @Test("a snapshot of version 1 is refused in a clear line")
  func firstVersion() throws {
    let cache = try makeCache("window:3", tokens: 5)
    var old = ByteList(Array("SLUICEKV".utf8))
    old.append(UInt32(1))
    old.append("window:3 f32 [layer, KV head, dim] 1x1x2 rope halves 1f")
    old.append(Int64(5))
    for counter in [2, 5, 5] as [Int64] { old.append(counter) }
    old.bytes += [UInt8](repeating: 0, count: 152)
    old.append(SnapshotForge.crc32c(old.bytes))
    #expect(refusal(of: old.bytes, by: cache) == "cache snapshot: version 1, this program reads 3")
  }

  @Test("lengths that are not those of its parts are refused")
  func lengths() throws {
    let cache = try makeCache("window:3", tokens: 5)
    let snapshot = cache.snapshot()
    var long = snapshot
    long.replaceSubrange(12..<16, with: [255, 255, 255, 255])
    #expect(refusal(of: long, by: cache)?.hasPrefix("cache snapshot: it ends at byte") == true)
    #expect(refusal(of: snapshot + [0], by: cache) == "cache snapshot: 1 bytes follow its last section")

    var forge = SnapshotForge(snapshot)
    let slots = try #require(forge.sections.firstIndex { $0.state == "slots" })
    let bytes = forge.sections[slots].bytes
    for (other, message) in [
      (Array(bytes.dropLast()), "slots of layer 0 in group 0 has 151 bytes instead of 152"),
      (bytes + [0, 0, 0], "slots of layer 0 in group 0 has 155 bytes instead of 152"),
      ([], "slots of layer 0 in group 0 has 0 bytes instead of 152"),
    ] {
      forge.sections[slots].set(other)
      #expect(refusal(of: forge.snapshot, by: cache) == "cache snapshot: \(message)")
    }
    forge.sections[slots].set(bytes)
    for length: UInt64 in [0, 151, 153, 1 << 40, UInt64(Int.max) - 1, UInt64(Int.max), 1 << 63, .max] {
      forge.sections[slots].claimedLength = length
      #expect(refusal(of: forge.snapshot, by: cache) != nil, "\(length)")
    }
    #expect(cache.snapshot() == snapshot)
  }

  @Test(
    "hostile counters under a right checksum never crash, nor allocate what they claim",
    arguments: [
      "full", "window:3", "sinks:2,window:3", "sinks:1,window:2,window:2", "window:2,tokens",
      "pages:32[dense-layers=0]",
    ])
  func hostileCounters(plan: String) throws {
    for positions in [Self.positions, .linearBias(slopes: [0.5]), .none] {
      let cache = try makeCache(plan, positions: positions, tokens: 8)
      let forge = SnapshotForge(cache.snapshot())
      let values: [Int64] = [
        .min, -1, 0, 1, 2, 3, 7, 9, 1 << 31, 1 << 40, (1 << 40) - 1, 1 << 62, (.max / 2) - 1, .max / 2, .max,
      ]
      for first in forge.counters.indices {
        for second in first..<forge.counters.count {
          for value in values {
            for other in values {
              let target = try makeCache(plan, positions: positions)
              guard refusal(of: forge.with([first: value].merging([second: other]) { $1 }), by: target) == nil else {
                continue
              }
              #expect(target.bytes <= 1 << 20)
              for chunk in [1, target.admissibleChunk(5)] {
                _ = attention.step(target, Self.sequence, tokens: 0..<chunk)
              }
            }
          }
        }
      }
    }
  }

  @Test("the checksum is CRC-32C")
  func checksum() {
    let crc = { (bytes: [UInt8]) in bytes.withUnsafeBytes { Checksum.crc32c($0) } }
    #expect(crc(Array("123456789".utf8)) == 0xE306_9283)
    #expect(crc([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    var random = SplitMix64(seed: 1)
    for length in 0..<40 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
      #expect(crc(bytes) == SnapshotForge.crc32c(bytes))
    }
  }
}
