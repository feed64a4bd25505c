import Engine
import KVCaches
import TestSupport
import Testing

/// What sequences get that share their steps with others.
@Suite struct SchedulerTests {
  /// A sequence that writes greedily after a prompt, and notes all that it is given.
  private final class Writer {
    let sequence: Sequence
    private(set) var logits: [[Float]] = []
    private(set) var tokens: [Int32] = []

    init(_ engine: InferenceEngine, _ plan: String, prompt: [Int32]) throws {
      sequence = try engine.makeSequence(KVCache.Plan(plan), slotType: .float32)
      sequence.append(prompt)
      sequence.requestLogits()
    }

    /// Takes in logits, and asks for more until there were `limit`.
    func take(_ logits: UnsafeMutableBufferPointer<Float>, limit: Int) {
      self.logits.append(Array(logits))
      tokens.append(Int32(Sampler.largest(logits) ?? 0))
      sequence.append(tokens[tokens.count - 1])
      if tokens.count < limit { sequence.requestLogits() }
    }
  }

  private static let plans = [
    "full", "streaming-llm:4+12", "window:16", "h2o:24", "snapkv:24[window=4]", "quest:32[dense-layers=1]",
    "cascading:32/2", "subgen:48",
  ]

  /// Runs writers that come one by one, `arrival` steps apart; `leave` says who rests between two steps.
  private func run(
    _ writers: [Writer], on scheduler: Scheduler, arrival: Int, limit: Int, rests: (_ step: Int, _ writer: Int) -> Bool
  ) {
    let places = Dictionary(uniqueKeysWithValues: writers.enumerated().map { (ObjectIdentifier($1.sequence), $0) })
    var step = 0
    while step < arrival * writers.count || !scheduler.isIdle || writers.contains(where: { $0.tokens.count < limit }) {
      for (place, writer) in writers.enumerated() where step >= place * arrival {
        if rests(step, place) { scheduler.remove(writer.sequence) } else { scheduler.add(writer.sequence) }
      }
      scheduler.step { sequence, logits in
        guard let place = places[ObjectIdentifier(sequence)] else {
          Issue.record("logits of a stranger")
          return
        }
        writers[place].take(logits, limit: limit)
      }
      step += 1
    }
  }

  private func prompt(_ place: Int) -> [Int32] {
    randomIDs([1, 40, 7, 90, 61, 33, 58, 70][place % 8], seed: UInt64(place))
  }

  @Test(arguments: [ElementEncoding.float32, .q8_0], [1, 3])
  func `company changes no bit where prompts are cut alike`(encoding: ElementEncoding, arrival: Int) throws {
    // A step takes all prompts whole, so nobody's chunks depend on others.
    let loaded = try loadTiny(TinyModel(encoding: encoding), chunk: 512)
    let writers = try Self.plans.enumerated().map { try Writer(loaded.engine, $1, prompt: prompt($0)) }
    run(writers, on: Scheduler(engine: loaded.engine), arrival: arrival, limit: 12) { step, place in
      // Cancelled now and then, and back again.
      (step + place) % 5 == 4
    }
    for (place, writer) in writers.enumerated() {
      let alone = try Writer(loaded.engine, Self.plans[place], prompt: prompt(place))
      run([alone], on: Scheduler(engine: loaded.engine), arrival: 1, limit: 12) { _, _ in false }
      #expect(writer.logits == alone.logits, "\(Self.plans[place])")
      #expect(writer.logits.count == 12 && writer.sequence.memory.tokenCount == Int64(prompt(place).count + 11))
    }
  }

  @Test(arguments: [1, 4, 16, 33], [1, 2])
  func `company changes rounding alone where it does change chunks`(chunk: Int, threads: Int) throws {
    let loaded = try loadTiny(chunk: chunk, threads: threads)
    // Which tokens survive a contest of scores, a vote or a merge may turn on the last bit, and do with chunks.
    let plans = ["full", "streaming-llm:4+12", "window:16", "full", "window:40", "streaming-llm:2+30"]
    let writers = try plans.enumerated().map { try Writer(loaded.engine, $1, prompt: prompt($0)) }
    run(writers, on: Scheduler(engine: loaded.engine), arrival: 2, limit: 12) { _, _ in false }
    for (place, writer) in writers.enumerated() {
      let alone = try Writer(loaded.engine, plans[place], prompt: prompt(place))
      run([alone], on: Scheduler(engine: loaded.engine), arrival: 1, limit: 12) { _, _ in false }
      #expect(writer.tokens == alone.tokens)
      for (logits, expected) in zip(writer.logits, alone.logits) { #expect(relativeError(logits, expected) < 1e-4) }
    }
  }

  @Test func `more sequences than logits at once or rows in a step all get theirs`() throws {
    let loaded = try loadTiny(chunk: 100)
    for count in [65, 100, 130] {
      let writers = try (0..<count).map {
        try Writer(loaded.engine, "window:8", prompt: randomIDs(2, seed: UInt64($0)))
      }
      run(writers, on: Scheduler(engine: loaded.engine), arrival: 0, limit: 4) { _, _ in false }
      for place in [0, 63, 64, count - 1] {
        let alone = try Writer(loaded.engine, "window:8", prompt: randomIDs(2, seed: UInt64(place)))
        run([alone], on: Scheduler(engine: loaded.engine), arrival: 1, limit: 4) { _, _ in false }
        #expect(writers[place].tokens == alone.tokens)
      }
    }
  }

  @Test func `prompts take turns and writers never wait for them`() throws {
    let loaded = try loadTiny(chunk: 16)
    let scheduler = Scheduler(engine: loaded.engine)
    let writers = try (0..<3).map { try Writer(loaded.engine, "full", prompt: [Int32(10 + $0)]) }
    let readers = try (0..<3).map { try Writer(loaded.engine, "full", prompt: randomIDs(130, seed: UInt64($0))) }
    for writer in writers + readers { scheduler.add(writer.sequence) }
    for step in 1...10 {
      scheduler.step { sequence, logits in
        writers.first { $0.sequence === sequence }?.take(logits, limit: .max)
      }
      #expect(writers.allSatisfy { $0.tokens.count == step })
      // No prompt is further ahead than by a step's rows.
      let read = readers.map(\.sequence.memory.tokenCount)
      #expect(read.reduce(0, +) == Int64(13 * step) && (read.max() ?? 0) - (read.min() ?? 0) <= 13)
    }
  }

  /// By counts, and with long prompts whose rows cost more and more.
  @Test(
    arguments: [1, 3, 20],
    ["full", "streaming-llm:4+60", "snapkv:24[window=4]", "snapkv:24[window=4,order=layer-major]"])
  func `prompts cost no more than those who write, and get all of that`(count: Int, plan: String) throws {
    let loaded = try loadTiny(chunk: 64)
    let scheduler = Scheduler(engine: loaded.engine)
    let costs = StepCosts(step: 6, slot: 0.05)
    scheduler.costs = costs
    let writers = try (0..<count).map { try Writer(loaded.engine, "window:16", prompt: [Int32(10 + $0)]) }
    let readers = try (0..<2).map { try Writer(loaded.engine, plan, prompt: randomIDs(900, seed: UInt64($0))) }
    for writer in writers + readers { scheduler.add(writer.sequence) }
    var (written, read, largest) = (0.0, 0.0, 0.0)
    var (step, isOver) = (0, false)
    while !isOver {
      let slots = (writers + readers).map(\.sequence.attendedSlots)
      let before = readers.map { Self.rows(of: $0.sequence) }
      scheduler.step { sequence, logits in
        if let writer = writers.first(where: { $0.sequence === sequence }) {
          writer.take(logits, limit: .max)
        } else {
          isOver = true
        }
      }
      step += 1
      #expect(writers.allSatisfy { $0.tokens.count == step })
      if isOver { break }
      let layers = readers.map { Double($0.sequence.layerwise?.layers ?? 1) }
      let costsNow = readers.indices.map {
        (Self.rows(of: readers[$0].sequence) - before[$0]) * costs.row(slots: slots[count + $0]) / layers[$0]
      }
      written += costs.step + slots[..<count].reduce(0) { $0 + costs.row(slots: $1) }
      read += costsNow.reduce(0, +)
      largest = max(largest, costsNow.reduce(0, +))
      #expect(read <= written + 1e-6, "step \(step)")
      // What is left over is less than what a prompt waits for: some steps of the others, or one row that costs more.
      let others = costs.step + Double(count) * costs.row(slots: 16)
      let row = slots[count...].map { costs.row(slots: $0) }.max() ?? 0
      try #require(written - read <= max(5 * others, row + 2 * others), "step \(step)")
    }
    #expect(step > 10 && largest > 0)
  }

  /// Rows of a prompt that were read, those of one layer where it goes layer by layer.
  private static func rows(of sequence: Sequence) -> Double {
    guard let reading = sequence.layerwise else { return Double(sequence.memory.tokenCount) }
    return Double(reading.rowsRead)
  }

  @Test(arguments: [1, 2, 8])
  func `prompts go on however many write, and all who write get their turn`(chunk: Int) throws {
    let loaded = try loadTiny(chunk: chunk)
    let scheduler = Scheduler(engine: loaded.engine)
    let writers = try (0..<2 * chunk).map { try Writer(loaded.engine, "full", prompt: [Int32(10 + $0)]) }
    for writer in writers { scheduler.add(writer.sequence) }
    let reader = try Writer(loaded.engine, "full", prompt: randomIDs(20, seed: 1))
    scheduler.add(reader.sequence)
    for _ in 0..<80 {
      scheduler.step { sequence, logits in
        (writers + [reader]).first { $0.sequence === sequence }?.take(logits, limit: .max)
      }
    }
    #expect(!reader.tokens.isEmpty)
    let counts = writers.map(\.tokens.count)
    #expect((counts.min() ?? 0) > 0 && (counts.max() ?? 0) - (counts.min() ?? 0) <= 1, "\(counts)")
  }

  @Test func `a sequence that wants no logits reads what fills steps`() throws {
    let loaded = try loadTiny(chunk: 16)
    let scheduler = Scheduler(engine: loaded.engine)
    let sequence = try loaded.engine.makeSequence(.full)
    scheduler.add(sequence)
    sequence.append(randomIDs(40, seed: 1))
    scheduler.run(while: { true }) { _, _ in Issue.record("nobody asked") }
    #expect(sequence.memory.tokenCount == 32 && sequence.waitingTokens == 8 && scheduler.isIdle)
    #expect(!scheduler.step())
  }

  @Test(arguments: [7, 64])
  func `a prompt goes layer by layer beside sequences that write`(chunk: Int) throws {
    let loaded = try loadTiny(chunk: chunk)
    let plan = "snapkv:24[window=4,order=layer-major]"
    let alone = try loaded.single(plan)
    alone.append(randomIDs(100, seed: 3))
    let expected = alone.logits()
    let aloneWriter = try Writer(loaded.engine, "window:16", prompt: randomIDs(5, seed: 4))
    run([aloneWriter], on: Scheduler(engine: loaded.engine), arrival: 1, limit: 60) { _, _ in false }

    let scheduler = Scheduler(engine: loaded.engine)
    let writer = try Writer(loaded.engine, "window:16", prompt: randomIDs(5, seed: 4))
    let readers = try (0..<2).map { _ in
      let reader = try loaded.engine.makeSequence(KVCache.Plan(plan), slotType: .float32)
      reader.append(randomIDs(100, seed: 3))
      reader.requestLogits()
      return reader
    }
    for sequence in readers + [writer.sequence] { scheduler.add(sequence) }
    var results: [[Float]] = []
    for step in 1...60 {
      // One of them is cancelled for a while.
      if step == 2 { scheduler.remove(readers[0]) }
      if step == 30 { scheduler.add(readers[0]) }
      scheduler.step { sequence, logits in
        if sequence === writer.sequence { writer.take(logits, limit: 60) } else { results.append(Array(logits)) }
      }
      #expect(writer.tokens.count == step)
    }
    #expect(results == [expected, expected])
    #expect(writer.logits == aloneWriter.logits)
    #expect(readers.allSatisfy { $0.memory.snapshot() == alone.memory.snapshot() && $0.layerwise == nil })
  }

  @Test func `what comes while a prompt goes layer by layer joins it`() throws {
    let loaded = try loadTiny(chunk: 16)
    let plan = "snapkv:24[window=4,order=layer-major]"
    let (whole, parts) = (try loaded.single(plan), try loaded.single(plan))
    let ids = randomIDs(90, seed: 5)
    whole.append(ids)
    parts.append(Array(ids[..<60]))
    #expect(parts.logits { parts.sequence.layerwise == nil }.isEmpty)
    parts.append(Array(ids[60...]))
    #expect(parts.logits() == whole.logits() && parts.memory.snapshot() == whole.memory.snapshot())
  }
}
