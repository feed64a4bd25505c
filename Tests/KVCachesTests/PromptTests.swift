import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches that vote on what they keep of a prompt, against Float64 lists.
@Suite("Caches that vote at the end of a prompt")
struct PromptTests {
  static let plans = [
    "snapkv:40[window=8]", "snapkv:40[window=8,kernel=5,pool=avg]", "snapkv:24[window=1,pool=none]",
    "snapkv:60[window=33,reduce=max]", "snapkv[window=8,ratio=0.75]", "snapkv[window=8,ratio=1]",
    "snapkv:40[window=8,layers=pyramid]", "snapkv:40[window=8,heads=adaptive]",
    "snapkv:40[window=8,layers=pyramid,heads=adaptive,pool=none]", "prompt:30[window=8,mode=every-prefill]",
    "snapkv:40[window=8,heads=adaptive,mode=every-prefill]", "snapkv:40[window=8,sinks=4]",
    "snapkv:40[window=8,sinks=9,layers=pyramid,heads=adaptive]",
    "snapkv:40[window=8,layers=pyramid,heads=adaptive,mode=every-prefill]",
  ]

  /// Caches that choose in other ways.
  static let others = [
    "snapkv:40[choose=random,window=8]", "prompt[choose=random,ratio=0.75,window=8,layers=pyramid]",
    "k-center:44", "k-center:40[window=8,sinks=3]", "k-center:40[window=8]",
    "k-center:40[window=8,mode=every-prefill]", "k-center:40[window=8,layers=pyramid]",
    "k-center:40[window=8,recompress=16]",
  ]

  struct Subject {
    let plan: KVCache.Plan
    let shape: KVCache.Shape
    let sequence: TokenSequence
    let attention: LocalAttention
    let team: WorkerTeam
    let slotType: KVCache.SlotType

    init(
      _ plan: String, group: Int = 2, keyValueHeads: Int = 2, slotType: KVCache.SlotType = .float32, threads: Int = 1,
      layout: RotaryLayout = .halves, positions: PositionEncoding? = nil, count: Int = 220
    ) throws {
      self.plan = try KVCache.Plan(plan)
      self.slotType = slotType
      shape = KVCache.Shape(
        layers: 3, queryHeads: group * keyValueHeads, keyValueHeads: keyValueHeads, headDim: 32)
      let positions = positions ?? .rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: layout))
      sequence = TokenSequence(shape: shape, positions: positions, count: count, seed: 41)
      team = try WorkerTeam(threads: threads)
      attention = LocalAttention(shape: shape, team: team, kernels: InstructionSet.current)
    }

    func makeCache(_ plan: KVCache.Plan? = nil) throws -> KVCache {
      try KVCache(plan: plan ?? self.plan, shape: shape, slotType: slotType, positions: sequence.positions)
    }

    @discardableResult
    func run(_ cache: KVCache, _ count: Int, _ chunking: Chunking = .sizes([50]), _ sequence: TokenSequence? = nil)
      -> [[Float]]
    {
      let first = Int(cache.tokenCount)
      return attention.run(cache, sequence ?? self.sequence, tokens: first..<first + count, chunking: chunking)
    }

    func chosen(_ cache: KVCache) -> [[Int]]? {
      cache.chosenTokens(team: team, kernels: InstructionSet.current)?.map(\.slots)
    }

    func finish(_ cache: KVCache) { cache.finishPrompt(team: team, kernels: InstructionSet.current) }

    /// The tokens that each layer of a cache of `plan` chooses after so many, for a head.
    func budgets(_ cache: KVCache) throws -> [Int] {
      let prompt = try #require(plan.prompt)
      let candidates = Int(cache.tokenCount) - prompt.window
      // What falls from 2 × mean − mean / 20 to mean / 20 over three layers has the mean in the middle.
      let mean = prompt.keptTokens(of: Int(cache.tokenCount)) - prompt.window
      guard prompt.layers == .pyramid else { return [mean, mean, mean] }
      let first = min(2 * mean - mean / 20, candidates)
      return [first, mean, 2 * mean - first]
    }
  }

  @Test("what is kept, and what later tokens read, equals the lists", arguments: plans)
  func equalsReference(plan: String) throws {
    for (group, layout) in [(1, RotaryLayout.interleaved), (3, .halves)] {
      let subject = try Subject(plan, group: group, layout: layout)
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
    let subject = try Subject("snapkv:40[window=8]")
    var sequence = subject.sequence
    sequence.sinkLogits = (0..<3).map { layer in (0..<4).map { Float(layer + $0) } }
    var reference = ReferencePrompt(sequence, try #require(subject.plan.prompt))
    let cache = try subject.makeCache()
    subject.run(cache, 150, .sizes([50]), sequence)
    reference.append(150)
    #expect(subject.chosen(cache) == reference.vote(budgets: [32, 32, 32]))
    subject.finish(cache)
    let (error, place) = subject.shape.largestError(subject.run(cache, 20, .ones, sequence), reference.run(20))
    #expect(error <= CacheCase.tolerance(.float32), "\(place)")
  }

  @Test(
    "every slot type chooses by its own rounding and no worse, and keeps its bytes",
    arguments: KVCache.SlotType.allCases)
  func slotTypes(slotType: KVCache.SlotType) throws {
    for plan in ["snapkv:40[window=8]", "snapkv:41[window=8,heads=adaptive]"] {
      let subject = try Subject(plan, slotType: slotType)
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
  private func rows(of cache: KVCache, _ subject: Subject, _ slots: [[Int]]) -> [[Float]] {
    let block = cache.storage[0].packed?.block ?? cache.storage[0].block(0)
    return slots.enumerated().map { head, slots in
      let storage = block.slots(head: head, type: cache.slotType.elementType, headDim: 32)
      return slots.flatMap { slot -> [Float] in
        var (key, value) = ([Float](repeating: 0, count: 32), [Float](repeating: 0, count: 32))
        InstructionSet.current.readKey(slot, of: storage, to: &key)
        InstructionSet.current.readValue(slot, of: storage, to: &value)
        return key + value
      }
    }
  }

  @Test("chunks and threads do not change the choice", arguments: plans + others)
  func chunking(plan: String) throws {
    let subject = try Subject(plan, group: 3)
    let window = try #require(subject.plan.prompt).window
    let whole = try subject.makeCache()
    subject.run(whole, 150, .whole)
    let expected = try #require(subject.chosen(whole))
    let inTeam = try Subject(plan, group: 3, threads: 3)
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

  @Test(
    "a prompt that fits stays as it is, bit for bit",
    arguments: [
      "snapkv:150[window=8]", "snapkv[window=8]", "snapkv:150[window=8,layers=pyramid,heads=adaptive]",
      "snapkv[ratio=0]", "snapkv[ratio=1,window=150]", "k-center:150",
      "k-center[window=1,ratio=0]", "snapkv:2000[window=1500,mode=every-prefill]",
    ])
  func fits(plan: String) throws {
    let subject = try Subject(plan, slotType: .float16)
    let (cache, full) = (try subject.makeCache(), try subject.makeCache(.full))
    #expect(subject.run(cache, 150) == subject.run(full, 150))
    #expect(subject.chosen(cache) == nil)
    subject.finish(cache)
    #expect(subject.run(cache, 50, .ones) == subject.run(full, 50, .ones))
    #expect(cache.heldTokens == 200)
  }

  @Test(
    "bytes are known, fall with the prompt's end, and do not depend on the prompt's length", arguments: plans + others)
  func bytes(plan: String) throws {
    let subject = try Subject(plan, slotType: .float16, count: 3000)
    let prompt = try #require(subject.plan.prompt)
    var after: Set<Int> = []
    for count in [1100, 2300, 3000] {
      let cache = try subject.makeCache()
      cache.fill(tokens: count, kernels: InstructionSet.current)
      let before = cache.bytes
      #expect(before == KVCache.bytes(plan: subject.plan, shape: subject.shape, slotType: .float16, tokens: count))
      subject.finish(cache)
      let queries = prompt.mode == .once || prompt.voters == 0 ? 0 : 3 * 4 * 4 * (prompt.window * 32 + 1)
      let kept = cache.heldTokens
      #expect(kept == prompt.keptTokens(of: count))
      // Panels are whole, in each head.
      let heads = 3 * subject.shape.keyValueHeads
      let perSlot = 2 * 32 * 2 + PackedSlots.bytesPerCount(prompt.centers)
      let least = kept * heads * perSlot + queries
      #expect(least...least + heads * 15 * perSlot ~= cache.bytes, "\(plan) after \(count)")
      #expect(cache.bytes < before)
      after.insert(cache.bytes)
      cache.beginStep(tokens: 1)
      #expect(cache.heldTokens == kept + 1 && cache.tokenCount == count + 1)
      let block = KVCache.bytes(plan: .full, shape: subject.shape, slotType: .float16, tokens: 1)
      #expect(after.contains(cache.bytes - block))
      cache.reset()
      #expect(cache.bytes == KVCache.bytes(plan: subject.plan, shape: subject.shape, slotType: .float16, tokens: 0))
    }
    // Which head has how many of an uneven budget depends on the votes, and so do the gaps in their panels.
    if case .tokens = prompt.size, prompt.heads == .uniform { #expect(after.count == 1, "\(plan)") }
  }

  @Test(
    "snapshots continue bit for bit, before the vote and after it", arguments: plans + others, KVCache.SlotType.allCases
  )
  func snapshots(plan: String, slotType: KVCache.SlotType) throws {
    let subject = try Subject(plan, slotType: slotType)
    let taken = try subject.makeCache()
    for saved in [3, 149] {
      let cache = try subject.makeCache()
      subject.run(cache, saved)
      try taken.restore(cache.snapshot())
      #expect(taken.bytes == cache.bytes)
      for cache in [cache, taken] {
        subject.run(cache, 150 - saved)
        subject.finish(cache)
      }
      #expect(taken.snapshot() == cache.snapshot(), "\(plan) \(slotType) after \(saved)")
      subject.run(cache, 9)
      try taken.restore(cache.snapshot())
      #expect(taken.bytes == cache.bytes)
      #expect(subject.run(taken, 20, .sizes([1, 1, 6])) == subject.run(cache, 20, .sizes([1, 1, 6])))
      for cache in [cache, taken] { subject.finish(cache) }
      #expect(taken.snapshot() == cache.snapshot(), "\(plan) \(slotType) after \(saved)")
    }
    taken.reset()
    let fresh = try subject.makeCache()
    #expect(taken.snapshot() == fresh.snapshot())
    for cache in [taken, fresh] {
      subject.run(cache, 150)
      subject.finish(cache)
    }
    #expect(subject.run(taken, 20) == subject.run(fresh, 20))
  }

  @Test(
    "hostile counters under a right checksum never crash",
    arguments: [
      "snapkv:20[window=3]", "snapkv:20[window=3,heads=adaptive,mode=every-prefill]",
      "k-center:20[window=3,recompress=3]",
    ])
  func hostile(plan: String) throws {
    let subject = try Subject(plan, group: 1, keyValueHeads: 1)
    for isFinished in [false, true] {
      let cache = try subject.makeCache()
      subject.run(cache, 40)
      if isFinished {
        subject.finish(cache)
        subject.run(cache, 2)
      }
      let forge = SnapshotForge(cache.snapshot(), stages: 1)
      let values: [Int64] = [.min, -1, 0, 1, 2, 3, 19, 20, 40, 42, 43, 1 << 31, (1 << 31) - 2, 1 << 40, .max / 2, .max]
      for first in forge.counters.indices {
        for second in first..<forge.counters.count {
          for value in values {
            for other in values {
              let target = try subject.makeCache()
              let forged = forge.with([first: value].merging([second: other]) { $1 })
              do throws(KVCacheError) { try target.restore(forged) } catch { continue }
              #expect(target.bytes <= 1 << 20)
              subject.finish(target)
              _ = subject.attention.run(target, subject.sequence, tokens: 0..<5, chunking: .whole)
              subject.finish(target)
            }
          }
        }
      }
    }
  }

  @Test("a token that the window looks at survives with its neighbours, others do not")
  func needle() throws {
    let subject = try Subject("snapkv:24[window=8]", group: 1)
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
    let plain = try Subject("snapkv:24[window=8,pool=none]", group: 1)
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

  @Test("the end of a prompt changes no other cache")
  func otherCaches() throws {
    let subject = try Subject("streaming-llm:4+20")
    let cache = try subject.makeCache()
    subject.run(cache, 100)
    let before = cache.snapshot()
    subject.finish(cache)
    #expect(cache.snapshot() == before)
  }
}
