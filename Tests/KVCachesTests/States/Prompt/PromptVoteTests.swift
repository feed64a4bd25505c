import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches that vote on what they keep of a prompt, against Float64 lists.
@Suite("Caches that vote at the end of a prompt")
struct PromptVoteTests {
  @Test("what is kept, and what later tokens read, equals the lists", arguments: PromptSubject.voting)
  func equalsReference(plan: String) throws {
    for (group, layout) in [(1, RotaryLayout.interleaved), (3, .halves)] {
      let subject = try PromptSubject(plan, group: group, layout: layout)
      var reference = ReferencePrompt(subject.sequence, try #require(subject.plan.prompt))
      let cache = try subject.makeCache()
      subject.run(cache, 150)
      reference.append(150)
      #expect(subject.chosen(cache) == reference.vote(budgets: try subject.budgets(cache)), "\(plan), group \(group)")
      subject.finish(cache)
      let (error, place) = subject.shape.largestError(
        subject.run(cache, 20, .sizes([1, 1, 7])), reference.run(20))
      #expect(error <= CacheCase.tolerance(.float32), "\(plan), group \(group): \(place)")
      // A later prompt.
      subject.finish(cache)
      if subject.plan.prompt?.mode == .everyPrefill { _ = reference.vote(budgets: try subject.budgets(cache)) }
      let (later, where_) = subject.shape.largestError(subject.run(cache, 20), reference.run(20))
      #expect(later <= CacheCase.tolerance(.float32), "\(plan), group \(group), second prompt: \(where_)")
    }
  }

  @Test("sink logits take their share of a vote's rows")
  func sinkLogits() throws {
    let subject = try PromptSubject("snapkv:40[window=8]")
    var sequence = subject.sequence
    sequence.sinkLogits = (0..<3).map { layer in (0..<4).map { Float(layer + $0) } }
    var reference = ReferencePrompt(sequence, try #require(subject.plan.prompt))
    let cache = try KVCache(plan: subject.plan, layers: sequence.layers, slotType: .float32)
    let attention = LocalAttention(layers: sequence.layers, team: subject.team, kernels: InstructionSet.current)
    _ = attention.run(cache, sequence, tokens: 0..<150, chunking: .sizes([50]))
    reference.append(150)
    #expect(subject.chosen(cache) == reference.vote(budgets: [32, 32, 32]))
    subject.finish(cache)
    let outputs = attention.run(cache, sequence, tokens: 150..<170, chunking: .ones)
    let (error, place) = subject.shape.largestError(outputs, reference.run(20))
    #expect(error <= CacheCase.tolerance(.float32), "\(place)")
  }

  @Test(
    "every slot type chooses by its own rounding and no worse, and keeps its bytes",
    arguments: KVCache.SlotType.allCases)
  func slotTypes(slotType: KVCache.SlotType) throws {
    for plan in ["snapkv:40[window=8]", "snapkv:41[window=8,heads=adaptive]"] {
      let subject = try PromptSubject(plan, slotType: slotType)
      var reference = ReferencePrompt(subject.sequence, try #require(subject.plan.prompt))
      let cache = try subject.makeCache()
      subject.run(cache, 150)
      reference.append(150)
      let chosen = try #require(subject.chosen(cache))
      _ = reference.vote(budgets: try subject.budgets(cache))
      let allowed = 1 - 4 * Double(CacheCase.tolerance(slotType))
      for (head, slots) in chosen.enumerated() where plan.contains("snapkv:40") {
        let scores = reference.scores[head / 2][head % 2]
        let worst = scores.sorted(by: >)[31]
        #expect(slots.count == 40 && slots.suffix(8) == Array(142..<150)[...])
        #expect(slots.dropLast(8).allSatisfy { scores[$0] >= worst * allowed }, "\(plan) \(slotType)")
      }
      let before = rows(of: cache, subject, chosen)
      subject.finish(cache)
      let after = rows(of: cache, subject, chosen.map { Array($0.indices) })
      #expect(before == after, "\(plan) \(slotType)")
    }
  }

  /// Keys and values of slots of each head, as they are stored.
  private func rows(of cache: KVCache, _ subject: PromptSubject, _ slots: [[Int]]) -> [[Float]] {
    let stored = cache.groups[0].slots.storages[0]
    return slots.enumerated().map { head, slots in
      slots.flatMap { slot -> [Float] in
        var (storage, slot) = (stored.packed?.block.slots(head: head, type: stored.type, headDim: 32), slot)
        if storage == nil {
          let place = stored.growth.place(ofSlot: slot)
          (storage, slot) = (stored.slots(head: head, block: place.block), place.slot)
        }
        guard let storage else { return [] }
        var (key, value) = ([Float](repeating: 0, count: 32), [Float](repeating: 0, count: 32))
        InstructionSet.current.readKey(slot, of: storage, to: &key)
        InstructionSet.current.readValue(slot, of: storage, to: &value)
        return key + value
      }
    }
  }

  @Test("chunks and threads do not change the choice", arguments: PromptSubject.voting + PromptSubject.others)
  func chunking(plan: String) throws {
    let subject = try PromptSubject(plan, group: 3)
    let window = try #require(subject.plan.prompt).window
    let whole = try subject.makeCache()
    subject.run(whole, 150, .whole)
    let expected = try #require(subject.chosen(whole))
    let inTeam = try PromptSubject(plan, group: 3, threads: 3)
    #expect(inTeam.chosen(whole) == expected)
    for size in [1, window - 1, window, window + 1] where size > 0 {
      let cache = try subject.makeCache()
      subject.run(cache, 150, .sizes([size]))
      #expect(subject.chosen(cache) == expected, "\(plan), chunks of \(size)")
    }
    subject.finish(whole)
    inTeam.finish(whole)
    let again = try subject.makeCache()
    inTeam.run(again, 150, .sizes([29]))
    inTeam.finish(again)
    if subject.plan.prompt?.mode == .once { #expect(again.snapshot() == whole.snapshot()) }
  }

  @Test("a token that the window looks at survives with its neighbours, others do not")
  func needle() throws {
    let subject = try PromptSubject("snapkv:24[window=8]", group: 1)
    let needle = 61
    var sequence = subject.sequence
    let direction = (0..<32).map { Float($0 % 3 - 1) }
    for layer in 0..<3 {
      for head in 0..<2 {
        // Places turn keys: what is turned back by the difference meets the query unturned.
        sequence.set(key: direction.map { $0 * 4 }, layer: layer, token: needle, head: head)
        for token in 142..<160 {
          let turned = sequence.rotated(direction.map { Double($0) * 4 }, by: needle - token).map { Float($0) }
          sequence.set(query: turned, layer: layer, token: token, head: head)
        }
      }
    }
    let plain = try PromptSubject("snapkv:24[window=8,pool=none]", group: 1)
    let around = Set(needle - 3...needle + 3)
    for (subject, pools) in [(subject, true), (plain, false)] {
      let cache = try subject.makeCache()
      let full = try subject.makeCache(.full)
      for cache in [cache, full] { subject.run(cache, 150, .sizes([50]), sequence) }
      let chosen = try #require(subject.chosen(cache))
      for slots in chosen {
        #expect(slots.contains(needle) && around.isSubset(of: slots) == pools)
      }
      subject.finish(cache)
      let outputs = subject.run(cache, 10, .ones, sequence)
      let (error, place) = subject.shape.largestError(outputs, subject.run(full, 10, .ones, sequence))
      #expect(error < 0.1, "the answer reads the needle: \(place)")
    }
  }

  @Test("a model with ALiBi is refused, since distances are not in its keys")
  func linearBias() throws {
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 16)
    #expect(throws: KVCacheError.self) {
      try KVCache(plan: try KVCache.Plan("snapkv:40"), shape: shape, positions: .linearBias(slopes: [0.5]))
    }
  }
}
