import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// The start of a stream, taken up from what a longer one has stored.
@Suite("Caches that are cut")
struct CuttingTests {
  typealias Shelf = RestorationTests.Shelf

  private static let shape = KVCache.Shape(layers: 2, queryHeads: 2, keyValueHeads: 2, headDim: 32)
  private static let sequence = TokenSequence(
    shape: shape, positions: MatrixSubject.positions, count: 1300, seed: 11)
  private let attention: LocalAttention

  init() throws {
    attention = LocalAttention(
      shape: Self.shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
  }

  private func makeCache(_ slotType: KVCache.SlotType, plan: String = "full") throws -> KVCache {
    try KVCache(
      plan: KVCache.Plan(plan), shape: Self.shape, slotType: slotType, positions: MatrixSubject.positions)
  }

  private func read(_ tokens: Int, _ slotType: KVCache.SlotType) throws -> KVCache {
    let cache = try makeCache(slotType)
    _ = attention.run(cache, Self.sequence, tokens: 0..<tokens, chunking: .sizes([64]))
    return cache
  }

  @Test("only what keeps every token in order can be cut", arguments: StageMatrix.plans)
  func whoCanBeCut(plan: String) throws {
    let cache = try KVCache(
      plan: KVCache.Plan(plan), shape: MatrixSubject.shape, positions: MatrixSubject.positions)
    #expect(cache.canBeCut == (cache.plan == .full))
  }

  @Test("what is taken up is what a cache has that reads no more", arguments: KVCache.SlotType.allCases)
  func start(slotType: KVCache.SlotType) throws {
    for stored in [17, 64, 130, 1290] {
      let shelf = try Shelf(read(stored, slotType))
      for kept in [0, 16, 48, 64, 128, 512, 1024, 1280] where kept < stored {
        let cache = try makeCache(slotType)
        let restoration = try shelf.restoration(of: cache)
        restoration.cut(to: kept)
        let wanted = restoration.missingSections
        for name in shelf.others where wanted.contains(name) { try shelf.give(name, to: restoration) }
        try restoration.finish()
        let other = try read(kept, slotType)
        #expect(cache.snapshot() == other.snapshot(), "\(slotType), \(kept) of \(stored)")
        let end = min(1300, kept + 9)
        #expect(
          attention.run(cache, Self.sequence, tokens: kept..<end, chunking: .ones)
            == attention.run(other, Self.sequence, tokens: kept..<end, chunking: .ones))
      }
    }
  }

  @Test("what has come whole of all layers is enough")
  func arrived() throws {
    let shelf = try Shelf(read(1290, .float16))
    let starts = [0, 64, 128, 256, 512, 1024, 1290]
    let blocks = shelf.others.sorted { ($0.block, $0.layer) < ($1.block, $1.layer) }
    for count in 0...blocks.count {
      let cache = try makeCache(.float16)
      let restoration = try shelf.restoration(of: cache)
      for name in blocks[..<count] { try shelf.give(name, to: restoration) }
      // A block has a section in each of the two layers.
      #expect(restoration.arrivedTokens == starts[count / 2])
      restoration.cut(to: restoration.arrivedTokens)
      #expect(restoration.missingSections.isEmpty)
      try restoration.finish()
      #expect(try cache.snapshot() == read(starts[count / 2], .float16).snapshot())
    }
    let order = try shelf.restoration(of: makeCache(.float16))
    for name in shelf.others where name.layer == 0 { try shelf.give(name, to: order) }
    #expect(order.arrivedTokens == 0, "one layer is of no use alone")
  }

  @Test("a cache that is cut begins while layers are still to come")
  func opened() throws {
    let shelf = try Shelf(read(130, .float16))
    let cache = try makeCache(.float16)
    let restoration = try shelf.restoration(of: cache)
    restoration.cut(to: 112)
    restoration.open()
    let sequences = [TokenSequence](repeating: Self.sequence, count: 2)
    let wanted = restoration.missingSections
    let outputs = attention.step(cache, sequences, tokens: 112..<115) { layer in
      for name in shelf.others where name.layer == layer && wanted.contains(name) {
        #expect(throws: Never.self) { try shelf.give(name, to: restoration) }
      }
    }
    try restoration.finish()
    let other = try read(112, .float16)
    #expect(outputs == attention.step(other, sequences, tokens: 112..<115))
    #expect(cache.snapshot() == other.snapshot())
  }

  @Test("a section of another length is refused")
  func lengths() throws {
    let shelf = try Shelf(read(130, .float16))
    let name = try #require(shelf.others.first { $0.block == 1 })
    let bytes = try #require(shelf.bytes[name])
    for length in [0, bytes.count - 1, bytes.count + 1, bytes.count / 2] {
      let restoration = try shelf.restoration(of: makeCache(.float16))
      restoration.cut(to: 80)
      let other = Array((bytes + bytes)[..<length])
      #expect(throws: KVCacheError.self) { try other.withUnsafeBytes { try restoration.take(name, $0) } }
    }
  }

  @Test("blocks begin where the starts say")
  func starts() {
    let starts = [64, 128, 256, 512, 1024, 2048, 3072]
    for tokens in 0...4095 {
      #expect(KVCache.blockStarts(upTo: tokens) == starts.filter { $0 <= tokens }, "\(tokens)")
    }
  }
}
