import CacheTestSupport
import Evaluation
import Kernels
import Testing

@testable import KVCaches

@Suite("Filling a cache without computing")
struct FillTests {
  @Test("counters and bytes are those of a real feed, slots are used and finite", arguments: StageMatrix.plans)
  func equalsFeed(plan: String) throws {
    let kernels = InstructionSet.current
    for slotType in KVCache.SlotType.allCases {
      let subject = MatrixSubject(
        plan: try KVCache.Plan(plan), slotType: slotType, attention: try MatrixSubject.attention(threads: 1))
      for (fed, filled) in [(0, 1), (0, 20), (7, 40), (30, 3), (5, 0)] {
        let (real, quick) = (try subject.makeCache(), try subject.makeCache())
        _ = subject.drive(real, 0..<fed + filled, .random(largest: 9, seed: 3))
        _ = subject.drive(quick, 0..<fed, .sizes([4]))
        quick.fill(tokens: filled, kernels: kernels)
        let place = "\(plan) \(slotType) \(fed) + \(filled)"
        #expect(quick.tokenCount == real.tokenCount && quick.heldTokens == real.heldTokens, "\(place)")
        #expect(quick.counters == real.counters, "\(place)")
        #expect(real.bytes == subject.bytes(tokens: fed + filled), "\(place)")
        #expect(quick.bytes == real.bytes && quick.snapshot().count == real.snapshot().count, "\(place)")
        let next = subject.drive(quick, fed + filled..<64, .sizes([1, 5]))
        #expect(next.allSatisfy { $0.allSatisfy(\.isFinite) }, "\(place)")
        #expect(quick.tokenCount == 64, "\(place)")
      }
    }
  }

  @Test("every head of every layer holds other keys and values than its neighbours, and the same in each cache")
  func values() throws {
    let subject = MatrixSubject(
      plan: try KVCache.Plan("streaming-llm:4+12"), slotType: .float32,
      attention: try MatrixSubject.attention(threads: 1))
    let (cache, twin) = (try subject.makeCache(), try subject.makeCache())
    for cache in [cache, twin] { cache.fill(tokens: 40, kernels: .current) }
    #expect(cache.snapshot() == twin.snapshot())
    var seen: Set<[Float]> = []
    let storage = cache.groups[0].slots.storages[0]
    for head in 0..<MatrixSubject.shape.layers * MatrixSubject.shape.keyValueHeads {
      let slots = storage.block(0).slots(head: head, type: .float32, headDim: MatrixSubject.shape.headDim)
      for slot in 0..<16 {
        for read in [InstructionSet.readKey, InstructionSet.readValue] {
          var row = [Float](repeating: .nan, count: MatrixSubject.shape.headDim)
          read(.current)(slot, slots, &row)
          #expect(row.allSatisfy { abs($0) <= 1 && $0 != 0 })
          seen.insert(row)
        }
      }
    }
    #expect(seen.count == MatrixSubject.shape.layers * MatrixSubject.shape.keyValueHeads * 16 * 2)
  }
}

extension KVCache {
  /// The counters of all stages, `[group][stage]`.
  fileprivate var counters: [[[Int64]]] { groups.map { $0.ledger.stages.map(\.counters) } }
}
