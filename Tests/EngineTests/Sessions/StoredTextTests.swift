import CacheTestSupport
import KVCaches
import SessionStore
import TestSupport
import Testing

@testable import Engine

/// Streams of text that stop and go on in another process.
@Suite struct StoredTextTests {
  private let loaded: LanguageModel.Loaded
  private let file: SessionFile
  private static let ids = randomIDs(70, seed: 3)

  init() throws { (loaded, file) = (try loadTiny(chunk: 16), try SessionFile()) }

  private func sequence(_ plan: String, _ slotType: KVCache.SlotType = .float32) throws -> SingleSequence {
    SingleSequence(
      Scheduler(engine: loaded.engine), try loaded.engine.makeSequence(KVCache.Plan(plan), slotType: slotType))
  }

  /// The logits after each of some tokens that come one by one behind a prompt.
  private func logits(_ single: SingleSequence, _ tokens: Range<Int>) -> [[Float]] {
    tokens.map { index in
      single.append(Self.ids[index])
      return single.logits()
    }
  }

  @Test(arguments: StageMatrix.plans)
  func `stopped after any token, a stream goes on with the logits of the unbroken one`(plan: String) throws {
    for slotType in KVCache.SlotType.allCases {
      // The tiny model's heads are too short for some types.
      guard let unbroken = try? sequence(plan, slotType) else { continue }
      unbroken.append(Array(Self.ids[..<20]))
      let expected = [unbroken.logits()] + logits(unbroken, 20..<60)

      let store = try file.store()
      var broken = try sequence(plan, slotType)
      broken.append(Array(Self.ids[..<20]))
      #expect(broken.logits() == expected[0])
      for index in 20..<60 {
        let name = "\(plan) \(slotType)"
        try file.checkpointer(name, loaded, store: store).save(broken.sequence)
        // From memory, and now and then from disk.
        let other = index % 10 == 0 ? try file.store() : store
        store.flush()
        broken = try sequence(plan, slotType)
        let resumption = try file.checkpointer(name, loaded, store: other).resume(
          broken.sequence, vocabulary: loaded.engine.vocabularySize)
        #expect(resumption == .hit(index, from: index % 10 == 0 ? "disk" : "memory"))
        #expect(logits(broken, index..<index + 1)[0] == expected[index - 19], "\(plan) \(slotType) at \(index)")
      }
    }
  }

  @Test func `tokens that waited, and guesses that were tried, are read as they would have been`() throws {
    for plan in ["full", "streaming-llm:4+20"] {
      let single = try sequence(plan)
      try single.sequence.speculate(.fixed(4), costs: loaded.engine.guessCosts)
      single.append(Array(Self.ids[..<40]))
      single.readFullChunks()
      let checkpointer = try file.checkpointer(plan, loaded)
      try checkpointer.save(single.sequence)
      try checkpointer.finish()
      let other = try sequence(plan)
      let resumption = try file.checkpointer(plan, loaded).resume(
        other.sequence, vocabulary: loaded.engine.vocabularySize)
      #expect(resumption.tokens == Int(single.memory.tokenCount) && other.sequence.waiting == single.sequence.waiting)
      #expect(other.sequence.waitingTokens > 0 && other.sequence.isInPrompt)
      #expect(other.logits() == single.logits())
    }
  }

  @Test func `what is lost is read again from the tokens that are known`() throws {
    for (plan, known) in [("full", 60), ("streaming-llm:4+20", 60)] {
      let single = try sequence(plan)
      single.append(Array(Self.ids[..<60]))
      let expected = single.logits()
      let checkpointer = try file.checkpointer(plan, loaded)
      try checkpointer.save(single.sequence)
      try checkpointer.finish()
      try file.spoilPages()
      let store = try file.store()
      let other = try sequence(plan)
      let resumption = try file.checkpointer(plan, loaded, store: store).resume(
        other.sequence, vocabulary: loaded.engine.vocabularySize)
      #expect(resumption == .miss(.corrupt) && store.statistics.misses == ["corrupt": 1])
      #expect(other.sequence.waitingTokens == known && other.logits() == expected)
      // It is saved whole again.
      let again = try file.checkpointer(plan, loaded)
      try again.save(other.sequence)
      try again.finish()
      let third = try sequence(plan)
      #expect(
        try file.checkpointer(plan, loaded).resume(third.sequence, vocabulary: loaded.engine.vocabularySize)
          == .hit(60, from: "disk"))
    }
  }

  @Test func `in front of what is damaged a stream that keeps all is taken up, and the rest is read again`() throws {
    let ids = randomIDs(200, seed: 4)
    let single = try sequence("full")
    single.append(ids)
    let expected = single.logits()
    let checkpointer = try file.checkpointer("a", loaded)
    try checkpointer.save(single.sequence)
    try checkpointer.finish()
    try file.spoilNewestBlock()
    let store = try file.store()
    let other = try sequence("full")
    let resumed = try file.checkpointer("a", loaded, store: store)
    let resumption = try resumed.resume(other.sequence, vocabulary: loaded.engine.vocabularySize)
    #expect(resumption == .hit(128, from: "disk", .corrupt) && store.statistics.misses == ["corrupt": 1])
    #expect(other.sequence.count == 200 && other.sequence.waiting == Array(ids[128...]))
    #expect(other.logits() == expected)
    // Damaged pages are written although what they ought to be has not changed.
    try resumed.save(other.sequence)
    try resumed.finish()
    let third = try sequence("full")
    #expect(
      try file.checkpointer("a", loaded).resume(third.sequence, vocabulary: loaded.engine.vocabularySize)
        == .hit(200, from: "disk"))
  }

  @Test func `two who save the same session: the second one's stays, and the first one is told`() throws {
    let (first, second) = (try file.checkpointer("a", loaded), try file.checkpointer("a", loaded))
    let single = try sequence("full")
    single.append(Array(Self.ids[..<20]))
    _ = single.logits()
    try first.save(single.sequence)
    try first.finish()
    let other = try sequence("full")
    #expect(try second.resume(other.sequence, vocabulary: loaded.engine.vocabularySize).tokens == 20)
    _ = logits(other, 20..<25)
    try second.save(other.sequence)
    try second.finish()
    _ = logits(single, 20..<22)
    try first.save(single.sequence)
    #expect(throws: LanguageModelError.self) { try first.finish() }
    #expect(throws: LanguageModelError.self) { try first.save(single.sequence) }
    #expect(try file.store().session(named: "a")?.tokens == 25)
  }
}
