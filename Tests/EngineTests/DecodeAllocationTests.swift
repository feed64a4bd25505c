import CAllocationCounter
import Engine
import KVCaches
import TestSupport
import Testing

@Suite(.enabled(if: allocation_count() >= 0, "allocations cannot be counted"))
struct DecodeAllocationTests {
  @Test(
    arguments: ["streaming-llm:4+20", "window:16", "quest:32[dense-layers=1]"],
    [(1, nil), (2, nil), (2, 4), (1, 512), (2, 512)])
  func `a warm decode step of the whole model allocates nothing`(plan: String, run: (threads: Int, rank: Int?)) throws {
    let (threads, rank) = run
    // The larger rank is shared out over the team.
    let engine = try loadTiny(adapter: rank.map { TinyAdapter(rank: $0) }, threads: threads).engine
    let cache = try engine.makeCache(KVCache.Plan(plan), slotType: .float16)
    engine.feed(randomIDs(40, seed: 1), cache: cache)
    let batch = Batch(capacity: 1)
    let step = {
      batch.removeAll()
      batch.append(7, memory: cache, needsLogits: true)
      engine.step(batch)
      return engine.logits(row: 0)[0]
    }
    #expect(step().isFinite)
    let before = allocation_count()
    for _ in 0..<10 { _ = step() }
    #expect(allocation_count() == before)
  }

  @Test(arguments: [1, 2, 5, 70], [1, 2])
  func `a warm step of the same sequences allocates nothing`(sequences: Int, threads: Int) throws {
    let loaded = try loadTiny(chunk: 128, threads: threads)
    let scheduler = Scheduler(engine: loaded.engine)
    let plans = ["streaming-llm:4+20", "window:16", "h2o:24"]
    for index in 0..<sequences {
      let sequence = try loaded.engine.makeSequence(
        KVCache.Plan(plans[index % plans.count]), slotType: .float16, log: TokenLog(limit: 32))
      sequence.append(randomIDs(40 + index, seed: UInt64(index)))
      sequence.requestLogits()
      scheduler.add(sequence)
    }
    var tokens = 0
    let step = {
      _ = scheduler.step { sequence, logits in
        sequence.append(Int32(Sampler.largest(logits) ?? 0))
        sequence.requestLogits()
        tokens += 1
      }
    }
    // Until all of them write.
    var before = -1
    while tokens - before < sequences {
      before = tokens
      step()
    }
    for _ in 0..<10 { step() }
    let (allocations, tokensBefore) = (allocation_count(), tokens)
    for _ in 0..<10 { step() }
    #expect(allocation_count() == allocations)
    #expect(tokens == tokensBefore + 10 * sequences)
  }

  @Test(arguments: ["full", "window:16", "streaming-llm:4+20"])
  func `a warm step of a sequence that guesses where nothing repeats allocates nothing`(plan: String) throws {
    let loaded = try loadTiny(chunk: 128)
    let scheduler = Scheduler(engine: loaded.engine)
    let sequence = try loaded.engine.makeSequence(
      KVCache.Plan(plan), slotType: .float16, log: TokenLog(limit: 64))
    try sequence.speculate(.automatic, costs: loaded.engine.guessCosts)
    let ids = randomIDs(200, seed: 3)
    sequence.append(Array(ids[..<70]))
    sequence.requestLogits()
    scheduler.add(sequence)
    let step = {
      _ = scheduler.step { sequence, logits in
        sequence.append(ids[sequence.count])
        sequence.requestLogits()
        sequence.guess(limit: 8)
      }
    }
    for _ in 0..<20 { step() }
    let (before, countBefore) = (allocation_count(), sequence.count)
    for _ in 0..<20 { step() }
    #expect(allocation_count() == before)
    #expect(sequence.count == countBefore + 20 && sequence.guesses.tried == 0)
  }
}
