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

  @Test("what is no snapshot, or one of a later version, is named as such")
  func versions() throws {
    let cache = try makeCache("window:3", tokens: 5)
    let forge = SnapshotForge(cache.snapshot(), stages: 1)
    let none = "cache snapshot: this is not a cache snapshot"
    #expect(refusal(of: [], by: cache) == none)
    #expect(refusal(of: Array("SLUICEKV".utf8), by: cache) == none)
    #expect(refusal(of: [UInt8](repeating: 7, count: 100), by: cache) == none)
    #expect(
      refusal(of: forge.with(2, at: 8), by: cache) == "cache snapshot: version 2, this program reads 1")
    #expect(
      refusal(of: forge.with(UInt32.max, at: 12), by: cache)?.hasPrefix("cache snapshot: it ends at byte") == true)
    #expect(
      refusal(of: forge.with(payloadBytes: -1), by: cache)
        == "cache snapshot: it holds 151 bytes of slots instead of 152")
    #expect(
      refusal(of: forge.with(payloadBytes: 3), by: cache)
        == "cache snapshot: it holds 155 bytes of slots instead of 152")
    #expect(refusal(of: forge.with([:]), by: cache) == nil, "the forge forges well")
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
      let forge = SnapshotForge(cache.snapshot(), stages: cache.plan.stages.count)
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
