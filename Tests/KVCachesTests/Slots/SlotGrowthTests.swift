import CacheTestSupport
import Kernels
import Testing

@testable import KVCaches

/// How slots are divided into blocks, against the list of their sizes.
@Suite("Blocks of slots")
struct SlotGrowthTests {
  /// A way of growing and the sizes of its blocks, the last one repeated.
  struct Subject: Sendable, CustomTestStringConvertible {
    var growth: SlotGrowth
    var sizes: [Int]
    var testDescription: String { "\(growth)" }

    /// The size and the first slot of each block, up to so many slots.
    func blocks(upTo slots: Int) -> [Range<Int>] {
      var blocks: [Range<Int>] = []
      while (blocks.last?.upperBound ?? 0) < slots {
        let first = blocks.last?.upperBound ?? 0
        blocks.append(first..<first + sizes[min(blocks.count, sizes.count - 1)])
      }
      return blocks
    }
  }

  static let subjects = [
    Subject(growth: .doubling, sizes: [64, 64, 128, 256, 512, 1024]),
    Subject(growth: .even, sizes: [1024]),
    Subject(growth: .bounded(5008), sizes: [5008]),
  ]

  @Test("places, first slots, sizes and counts of blocks are those of the list", arguments: subjects)
  func enumeration(subject: Subject) {
    let (growth, blocks) = (subject.growth, subject.blocks(upTo: 5000))
    for (index, slots) in blocks.enumerated() {
      #expect(growth.firstSlot(ofBlock: index) == slots.lowerBound && growth.slots(ofBlock: index) == slots.count)
      #expect(slots.lowerBound % 64 == 0, "kernels cut runs at multiples of 64")
    }
    #expect(growth.blocks(slots: 0) == 0)
    for slot in 0..<5000 {
      let index = blocks.firstIndex { $0.contains(slot) } ?? -1
      let place = growth.place(ofSlot: slot)
      if place.block != index || place.slot != slot - blocks[index].lowerBound {
        Issue.record("slot \(slot) lies in \(place) instead of block \(index)")
      }
      if growth.firstSlot(ofBlock: place.block) + place.slot != slot { Issue.record("slot \(slot) is not found again") }
      if growth.blocks(slots: slot + 1) != index + 1 { Issue.record("\(slot + 1) slots take other blocks") }
    }
  }

  @Test("memory is never more than twice what is used, beyond the first block, and a block at most")
  func littleIsWasted() {
    for slots in 1..<5000 {
      let last = SlotGrowth.doubling.blocks(slots: slots) - 1
      let reserved = SlotGrowth.doubling.firstSlot(ofBlock: last) + SlotGrowth.doubling.slots(ofBlock: last)
      if reserved > max(64, 2 * slots) || reserved - slots >= SlotGrowth.largestBlock {
        Issue.record("\(reserved) slots for \(slots)")
      }
    }
  }

  @Test("a full cache of 20 tokens takes 64 slots", arguments: KVCache.SlotType.allCases)
  func shortChat(slotType: KVCache.SlotType) throws {
    let subject = MatrixSubject(
      plan: .full, slotType: slotType, attention: try MatrixSubject.attention(threads: 1))
    let cache = try subject.makeCache()
    #expect(cache.bytes == 0)
    _ = subject.run(cache, 0..<20, .sizes([7]))
    let perToken = KVCache.bytesPerToken(shape: MatrixSubject.shape, slotType: slotType)
    #expect(cache.bytes == 64 * perToken)
    _ = subject.run(cache, 20..<64, .ones)
    #expect(cache.bytes == 64 * perToken)
  }

  @Test("a large bounded cache takes memory as it fills", arguments: KVCache.SlotType.allCases)
  func takenBytes(slotType: KVCache.SlotType) throws {
    let subject = MatrixSubject(
      plan: try KVCache.Plan("sinks:4,window:60000/1,window:60000/2"), slotType: slotType,
      attention: try MatrixSubject.attention(threads: 1))
    let cache = try subject.makeCache()
    let (all, empty) = (cache.bytes, cache.takenBytes)
    #expect(all > 8 << 20)
    #expect(empty < all / 5)
    _ = subject.run(cache, 0..<64, .sizes([7]))
    let heads = MatrixSubject.shape.layers * MatrixSubject.shape.keyValueHeads
    let perToken = KVCache.bytesPerToken(shape: MatrixSubject.shape, slotType: slotType)
    #expect(cache.bytes == all)
    #expect(64 * perToken...(16 + 64) * perToken + heads * 2 * 16384 ~= cache.takenBytes - empty)
  }

  @Test("bytes of each plan that grows are those of the list, at every length", arguments: subjects.dropLast())
  func bytes(subject: Subject) throws {
    let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 8)
    let perToken = KVCache.bytesPerToken(shape: shape, slotType: .float32)
    let plan = subject.growth == .even ? "pages:32[dense-layers=2]" : "full"
    for tokens in 0..<3000 {
      let slots = subject.blocks(upTo: tokens).last?.upperBound ?? 0
      let bytes = KVCache.bytes(plan: try KVCache.Plan(plan), shape: shape, slotType: .float32, tokens: tokens)
      if bytes != slots * perToken { Issue.record("\(bytes) bytes for \(tokens) tokens") }
    }
  }
}
