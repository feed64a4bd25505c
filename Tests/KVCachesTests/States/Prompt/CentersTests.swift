import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches that keep centers of a prompt's keys, against Float64 lists.
@Suite("Caches that keep centers")
struct CentersTests {
  /// A cache, and what docs/caches.md says of it.
  struct Case: Sendable, CustomStringConvertible {
    var plan: String
    var size: Int
    var window: Int
    var sinks = 4
    var recompression: Int?
    var description: String { plan }
  }

  static let cases = [
    Case(plan: "k-center:40[window=8]", size: 40, window: 8),
    Case(plan: "k-center:40[window=8,sinks=0]", size: 40, window: 8, sinks: 0),
    Case(plan: "k-center:44", size: 44, window: 32),
    Case(plan: "k-center:40[window=8,recompress=16]", size: 40, window: 8, recompression: 16),
    Case(plan: "k-center:40[window=8,recompress=5]", size: 40, window: 8, recompression: 5),
  ]

  @Test("what is kept, and what later tokens read, equals the lists", arguments: cases)
  func equalsReference(test: Case) throws {
    let plan = test.plan
    for (group, threads, prompt) in [(1, 1, 150), (3, 2, 150), (2, 1, 30)] {
      let subject = try PromptSubject(plan, group: group, threads: threads)
      var reference = ReferenceCenters(
        subject.sequence, size: test.size, window: test.window, sinks: test.sinks, recompression: test.recompression)
      let cache = try subject.makeCache()
      cache.recordTokens()
      subject.run(cache, prompt)
      reference.append(prompt)
      subject.finish(cache)
      reference.finish()
      let outputs = subject.run(cache, 66, .sizes([1, 1, 7, 20]))
      let (error, place) = subject.shape.largestError(outputs, reference.run(66))
      #expect(error <= CacheCase.tolerance(.float32), "\(plan), group \(group): \(place)")
      for layer in 0..<3 {
        for head in 0..<2 {
          #expect(cache.heldTokens(layer: layer, head: head) == reference.held[layer][head].map(\.token), "\(plan)")
        }
      }
    }
  }

  @Test("a ratio keeps what a capacity of that share keeps, window included", arguments: [0.35, 0.42, 0.5, 0.9])
  func ratio(share: Double) throws {
    for count in [40, 150, 300, 1000] {
      // In hundredths, which binary fractions of them are not.
      let kept = count - (count * Int((100 * share).rounded()) + 99) / 100
      // Less leaves nothing to choose.
      guard kept > max(32, kept / 4) + 4 else { continue }
      let held = try ["k-center[ratio=\(share)]", "k-center:\(kept)"].map { plan in
        let subject = try PromptSubject(plan, count: count)
        let cache = try subject.makeCache()
        cache.recordTokens()
        subject.run(cache, count)
        subject.finish(cache)
        return (0..<3).map { layer in (0..<2).map { cache.heldTokens(layer: layer, head: $0) } }
      }
      #expect(held[0] == held[1], "\(share) of \(count)")
      #expect(held[0][0][0].count == kept)
      let window = max(32, kept / 4)
      #expect(Array(held[0][1][1].suffix(window)) == Array(count - window..<count))
    }
  }

  /// A sequence without positions in which every head of each layer has only `distinct` keys, each with its value.
  private func repeating(_ distinct: Int, _ sequence: TokenSequence) -> TokenSequence {
    var sequence = sequence
    for layer in 0..<sequence.shape.layers {
      for head in 0..<sequence.shape.keyValueHeads {
        for token in 0..<sequence.count {
          let source = (token * token + head) % distinct
          let key = Array(sequence.key(layer: layer, token: source, head: head))
          let value = Array(sequence.value(layer: layer, token: source, head: head))
          sequence.set(key: key, layer: layer, token: token, head: head)
          sequence.set(value: value, layer: layer, token: token, head: head)
        }
      }
    }
    return sequence
  }

  @Test("centers lose nothing where they are as many as the distinct keys")
  func exact() throws {
    for plan in ["k-center:40[window=8]", "k-center:40[window=8,recompress=7]"] {
      let subject = try PromptSubject(plan, positions: PositionEncoding.none)
      let sequence = repeating(28, subject.sequence)
      let (cache, full) = (try subject.makeCache(), try subject.makeCache(.full))
      for cache in [cache, full] { subject.run(cache, 150, .whole, sequence) }
      subject.finish(cache)
      // Sinks, the window, and fewer centers than there is room for.
      #expect(cache.heldTokens <= 40)
      #expect(cache.centerRadii == [Float](repeating: 0, count: 6))
      let (error, place) = subject.shape.largestError(
        subject.run(cache, 40, .ones, sequence), subject.run(full, 40, .ones, sequence))
      #expect(error <= 1e-5, "\(plan): \(place)")
    }
    // Fewer do lose something, so the test can fail.
    let subject = try PromptSubject("k-center:16[window=8]", positions: PositionEncoding.none)
    let sequence = repeating(28, subject.sequence)
    let (cache, full) = (try subject.makeCache(), try subject.makeCache(.full))
    for cache in [cache, full] { subject.run(cache, 150, .whole, sequence) }
    subject.finish(cache)
    let (error, _) = subject.shape.largestError(
      subject.run(cache, 1, .ones, sequence), subject.run(full, 1, .ones, sequence))
    #expect(error > 0.01)
  }

  @Test(
    "memory stays bounded, counts are carried, and chunks do not matter, over a long answer",
    arguments: KVCache.SlotType.allCases)
  func recompression(slotType: KVCache.SlotType) throws {
    let subject = try PromptSubject("k-center:40[window=8,recompress=16]", slotType: slotType, count: 1200)
    var snapshots: [[UInt8]] = []
    for chunking in [Chunking.ones, .sizes([512]), .sizes([5, 16, 17, 1, 64])] {
      let cache = try subject.makeCache()
      subject.run(cache, 150)
      subject.finish(cache)
      var bytes: Set<Int> = []
      _ = subject.attention.run(
        cache, subject.sequence, tokens: 150..<1157, chunking: chunking
      ) { _ in
        bytes.insert(cache.bytes)
        #expect(cache.heldTokens <= 56)
      }
      #expect(bytes.count == 1)
      let packed = try #require(cache.groups[0].slots.storages[0].packed)
      for head in 0..<6 {
        // 1157 = 150 + 62 × 16 + 15 tokens, of which 15 are not compressed yet.
        #expect(packed.represented(head: head)?.reduce(0, +) == 1142)
      }
      snapshots.append(cache.snapshot())
    }
    #expect(slotType != .float32 || snapshots[1] == snapshots[0] && snapshots[2] == snapshots[0])
  }

  @Test("what slots stand for is checked before a snapshot is taken up")
  func forgedCounts() throws {
    let subject = try PromptSubject("k-center:40[window=8]")
    let cache = try subject.makeCache()
    subject.run(cache, 150)
    subject.finish(cache)
    subject.run(cache, 3)
    let snapshot = cache.snapshot()
    let forge = SnapshotForge(snapshot)
    let counts = forge.sections.indices.filter { forge.sections[$0].state == "prompt" }
    let target = try subject.makeCache()
    subject.run(target, 11)
    let before = target.snapshot()
    #expect(counts.count == 3)
    // Three layers of two heads of 40 slots with 8 bytes each.
    for slot in [0, 5, 39, 40, 239] {
      for count in [0, 151, -1, .min, .max] as [Int64] {
        var forged = forge
        forged.sections[counts[slot / 80]].write(count, at: slot % 80 * 8)
        #expect(throws: KVCacheError.self, "slot \(slot)") { try target.restore(forged.snapshot) }
      }
    }
    #expect(target.snapshot() == before)
    try target.restore(snapshot)
    #expect(subject.run(target, 20, .ones) == subject.run(cache, 20, .ones))
  }

  @Test("broken keys are forgotten, and finite outputs come back")
  func brokenKeys() throws {
    let subject = try PromptSubject("k-center:40[window=8]")
    var sequence = subject.sequence
    for token in [9, 77] {
      for head in 0..<2 {
        sequence.set(key: [Float](repeating: .nan, count: 32), layer: 1, token: token, head: head)
      }
    }
    let cache = try subject.makeCache()
    subject.run(cache, 150, .whole, sequence)
    subject.finish(cache)
    let packed = try #require(cache.groups[0].slots.storages[0].packed)
    #expect(packed.represented(head: 2)?.reduce(0, +) == 148 && packed.represented(head: 0)?.reduce(0, +) == 150)
    #expect(subject.run(cache, 5, .ones, sequence).allSatisfy { $0.allSatisfy(\.isFinite) })
    try subject.makeCache().restore(cache.snapshot())
  }

  @Test("random choice differs from head to head, keeps sinks and window, and is the same every time")
  func random() throws {
    let subject = try PromptSubject("snapkv:40[choose=random,window=8]")
    let cache = try subject.makeCache()
    subject.run(cache, 150)
    let chosen = try #require(subject.chosen(cache))
    #expect(Set(chosen).count == 6)
    for slots in chosen {
      #expect(slots.count == 40 && slots.prefix(4) == [0, 1, 2, 3] && slots.suffix(8) == Array(142..<150)[...])
    }
    let again = try subject.makeCache()
    subject.run(again, 150, .sizes([7]))
    #expect(subject.chosen(again) == chosen)
    #expect(cache.centerRadii.isEmpty)
  }

  @Test("radii are those of what was chosen, and fall with more centers")
  func radii() throws {
    var last = [Float](repeating: .infinity, count: 6)
    for size in [24, 40, 80, 140] {
      let subject = try PromptSubject("k-center:\(size)[window=8]")
      let cache = try subject.makeCache()
      subject.run(cache, 150)
      #expect(cache.centerRadii.isEmpty)
      subject.finish(cache)
      #expect(cache.centerRadii.count == 6)
      #expect(zip(cache.centerRadii, last).allSatisfy { $0 < $1 && $0 > 0 })
      last = cache.centerRadii
    }
  }
}
