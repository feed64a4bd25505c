import CacheTestSupport
import Kernels
import Testing

@testable import KVCaches

@Suite("Which token is where")
struct StageLedgerTests {
  /// Drives the bookkeeping of a cache alone; checks slots, readings and distances of every step.
  private func follow(_ stages: [any StageSpecification], tokens: Int, chunking: Chunking) throws {
    let plan = KVCache.Plan(stages: stages)
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 2)
    let cache = try KVCache(plan: plan, shape: shape, slotType: .float32, positions: .none)
    let definition = ReferenceAttention(
      TokenSequence(shape: shape, positions: .none, count: 0, seed: 0), plan: plan)
    var mirror = SlotMirror()
    for size in chunking.sizes(tokens) {
      let end = mirror.seen + size
      while mirror.seen < end {
        let chunk = cache.admissibleChunk(end - mirror.seen)
        cache.beginStep(tokens: chunk)
        let ledger = cache.groups[0].ledger
        mirror.audit(ledger.step, chunk: chunk, attendedBy: definition.attended(by:))
        mirror.replay(ledger.step, chunk: chunk)
        let clocksAgree = mirror.tokens.allSatisfy { place, held in
          let stage = ledger.stages[place.stage]
          return place.slot < stage.usedSlots && stage.clock(ofSlot: place.slot) == held.clock
        }
        if mirror.retained != definition.attended(by: mirror.seen - 1) || cache.heldTokens != mirror.tokens.count
          || !clocksAgree
        {
          Issue.record("\(plan) after \(mirror.seen) tokens holds \(mirror.retained), or at other clocks")
        }
      }
    }
  }

  /// T3 and T6 of the specification.
  @Test("all small caches and chunks: retained set, slots, attended sets and distances", arguments: 0...3, 1...5)
  func enumeration(sinks: Int, window: Int) throws {
    for second in 0...4 {
      let stages =
        (sinks > 0 ? [Sinks(sinks)] : []) as [any StageSpecification] + [Window(window)]
        + (second > 0 ? [Window(second)] : [])
      for chunk in 1...8 { try follow(stages, tokens: 30, chunking: .sizes([chunk])) }
      try follow(stages, tokens: 60, chunking: .random(largest: 20, seed: UInt64(second)))
      try follow(stages, tokens: 30, chunking: .whole)
    }
    for chunk in [1, 2, 3, 7, 30] {
      try follow([Window(window), Tokens()], tokens: 30, chunking: .sizes([chunk]))
      try follow([Sinks(sinks + 1), Window(window), Tokens()], tokens: 30, chunking: .sizes([chunk]))
    }
  }

  @Test("T3: after 10 times the capacity exactly the sinks and the last tokens are held")
  func afterTenCapacities() throws {
    try follow([Sinks(4), Window(60)], tokens: 640, chunking: .ones)
    try follow([Sinks(4), Window(40), Window(20)], tokens: 640, chunking: .sizes([13]))
  }

  @Test("T5: bytes, readings and moves stay flat over 100 times the capacity", arguments: KVCache.SlotType.allCases)
  func flatForever(slotType: KVCache.SlotType) throws {
    let plan = KVCache.Plan {
      Sinks(4)
      Window(28)
    }
    let shape = KVCache.Shape(layers: 3, queryHeads: 4, keyValueHeads: 2, headDim: 32)
    let cache = try KVCache(plan: plan, shape: shape, slotType: slotType, positions: .none)
    let bytes = KVCache.bytes(plan: plan, shape: shape, slotType: slotType, tokens: 0)
    for token in 0..<3200 {
      cache.beginStep(tokens: 1)
      let step = cache.groups[0].ledger.step
      let read = step.readings.reduce(0) { $0 + $1.slots.count }
      let isFlat =
        cache.bytes == bytes && cache.heldTokens == min(token + 1, 32) && read == min(token, 31)
        && step.readings.count <= 3 && step.moves.count == 1 && step.clocks.count <= 2
      if !isFlat {
        Issue.record("token \(token) costs more: \(cache.bytes) bytes, \(read) slots read")
        return
      }
    }
  }

  @Test("bytes of growing caches are known before, block by block")
  func growingBytes() throws {
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 2)
    for specification in ["full", "sinks:3,tokens", "window:30,tokens"] {
      let plan = try KVCache.Plan(specification)
      let cache = try KVCache(plan: plan, shape: shape, slotType: .float16, positions: .none)
      for token in 0..<2100 {
        cache.beginStep(tokens: 1)
        let expected = KVCache.bytes(plan: plan, shape: shape, slotType: .float16, tokens: token + 1)
        if cache.bytes != expected { Issue.record("\(plan) after \(token + 1): \(cache.bytes), not \(expected) bytes") }
      }
    }
  }
}
