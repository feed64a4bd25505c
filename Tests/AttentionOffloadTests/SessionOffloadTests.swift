import AttentionOffload
import CacheTestSupport
import Engine
import KVCaches
import Kernels
import Models
import SessionStore
import TestSupport
import Testing

/// A text that a small model with two KV heads writes, on workers or alone.
struct StoredText {
  let loaded: LanguageModel.Loaded
  let sequence: Sequence
  private let scheduler: Scheduler

  /// - Parameter workers: those of the division; nil attends in this process
  init(
    _ plan: KVCache.Plan, _ division: WorkDivision?, workers: TestWorkers? = nil, log: TokenLog = TokenLog()
  ) throws {
    loaded = try withTemporaryDirectory { folder in
      try LanguageModel.Loaded(
        path: TinyModel(endBias: -40).write(in: folder),
        options: LanguageModel.Options(threads: 1, chunk: 16, exactArithmetic: true))
    }
    if let division {
      let workers = try workers ?? TestWorkers(division.workers)
      loaded.engine.attend(
        by: try workers.attention(
          loaded.engine.model.configuration.layers, division, options: .init(overlap: .always, patience: 0)))
    }
    sequence = try loaded.engine.makeSequence(plan, slotType: .float32, log: log)
    scheduler = Scheduler(engine: loaded.engine)
  }

  static let prompt: [Int32] = (0..<40).map { 3 + $0 * 37 % 250 }

  /// The likeliest tokens that follow.
  ///
  /// - Parameter beforeToken: called with how many there are before each one's logits are asked for
  func write(_ count: Int, beforeToken: (Int) throws -> Void = { _ in }) throws -> [Int32] {
    var output: [Int32] = []
    for index in 0..<count {
      try beforeToken(index)
      let logits = try #require(scheduler.logits(of: sequence))
      if let failure = sequence.memory.failure { throw failure }
      let best = Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0)
      output.append(best)
      sequence.append(best)
    }
    return output
  }

  func checkpointer(_ store: SessionStore, _ name: String = "text") -> SessionCheckpointer {
    SessionCheckpointer(store, ItemKey(name: name), model: loaded.fingerprint)
  }

  func resume(_ store: SessionStore, _ name: String = "text") throws -> Resumption {
    try checkpointer(store, name).resume(sequence, vocabulary: loaded.engine.vocabularySize)
  }
}

@Suite("Sessions whose memory workers keep")
struct SessionOffloadTests {
  private static let deployments: [WorkDivision?] = [
    WorkDivision(), WorkDivision(heads: 2), WorkDivision(requests: 2), nil, WorkDivision(slots: 2),
    WorkDivision(requests: 4), WorkDivision(slots: 4), WorkDivision(slots: 2, heads: 2),
    WorkDivision(requests: 2, heads: 2),
  ]

  private func store() throws -> SessionStore { try SessionStore(path: nil) }

  private func divisions(_ plan: KVCache.Plan) -> [WorkDivision?] {
    Self.deployments.filter { division in
      guard let division else { return true }
      return (try? StoredText(plan, division)) != nil
    }
  }

  /// Each deployment goes on with what the one before it has saved, three tokens later.
  @Test("go on in the next run, on as many workers or on others", arguments: StageMatrix.plans)
  func goesOn(text: String) throws {
    let plan = try KVCache.Plan(text)
    let (store, divisions) = (try store(), divisions(plan))
    #expect(divisions.count >= (plan.prompt?.recompression == nil ? 4 : 1))
    let unbroken = try StoredText(plan, nil)
    unbroken.sequence.append(StoredText.prompt)
    let expected = try unbroken.write(3 * divisions.count + 3)
    var output: [Int32] = []
    for (index, division) in (divisions + [divisions[0]]).enumerated() {
      let run = try StoredText(plan, division)
      let resumption = try run.resume(store)
      if index == 0 {
        #expect(resumption.miss == .neverStored)
        run.sequence.append(StoredText.prompt)
      } else {
        let read = StoredText.prompt.count + output.count - 1
        #expect(resumption == .hit(read, from: "memory"), "\(text) to \(division?.description ?? "none")")
      }
      output += try run.write(3)
      try run.checkpointer(store).save(run.sequence)
      store.flush()
    }
    #expect(output == expected, "\(text)")
  }

  /// The worker is lost before each frame of the tenth token; five tokens before that the text was saved, or never.
  @Test("are what a lost worker's part is taken from", arguments: LossTests.plans)
  func loss(text: String) throws {
    let plan = try KVCache.Plan(text)
    let unbroken = try StoredText(plan, nil)
    unbroken.sequence.append(StoredText.prompt)
    let expected = try unbroken.write(14)
    let (saved, lost) = (4, 9)
    for division in [WorkDivision(heads: 2), WorkDivision(requests: 2)] {
      for isSaved in [true, false] {
        // A token is a step, and queries and keys of two layers; after five tokens nothing goes on.
        for frame in 0...25 {
          let (workers, store) = (try TestWorkers(2), try store())
          let run = try StoredText(plan, division, workers: workers)
          run.sequence.append(StoredText.prompt)
          let checkpointer = run.checkpointer(store)
          let output = try run.write(14) { token in
            if token == saved, isSaved { try checkpointer.save(run.sequence) }
            if token == lost { workers.channels[division.heads - 1].last?.framesLeft = frame }
          }
          #expect(output == expected, "\(text) \(division), before frame \(frame)")
          let tokens = StoredText.prompt.count + lost - 1
          let again = frame == 25 ? 0 : (isSaved ? lost - saved : tokens) + frame / 5
          #expect(run.sequence.tokensReadAgain == again, "\(text) \(division), before frame \(frame)")
        }
      }
    }
  }

  @Test("are of use where older tokens are not known any more")
  func shortLog() throws {
    let plan = try KVCache.Plan("streaming-llm:4+20")
    let unbroken = try StoredText(plan, nil)
    unbroken.sequence.append(StoredText.prompt)
    let expected = try unbroken.write(12)
    for isSaved in [true, false] {
      let workers = try TestWorkers(2)
      let run = try StoredText(plan, WorkDivision(heads: 2), workers: workers, log: TokenLog(limit: 8))
      run.sequence.append(StoredText.prompt)
      let (checkpointer, tokens) = (run.checkpointer(try store()), expected)
      let write = {
        try run.write(12) { token in
          if token == 4, isSaved { try checkpointer.save(run.sequence) }
          if token == 8 { workers.channels[0].last?.framesLeft = 3 }
        }
      }
      if isSaved {
        #expect(try write() == tokens)
      } else {
        #expect(throws: KVCacheError.self) { try write() }
      }
    }
  }

  enum Trouble: CaseIterable {
    /// The item is not there any more, or another one has its place.
    case removed, replaced
    /// What was saved was taken back since.
    case takenBack
    /// The worker is lost once more while it gets its part, before a frame.
    case lostAgain
  }

  @Test("that are of no use leave all to be read again", arguments: Trouble.allCases)
  func trouble(_ trouble: Trouble) throws {
    let (saved, lost) = (4, 9)
    for frame in 0..<(trouble == .lostAgain ? 12 : 1) {
      let (workers, store) = (try TestWorkers(2), try store())
      let run = try StoredText(.full, WorkDivision(heads: 2), workers: workers)
      let alone = try StoredText(.full, nil)
      for text in [run, alone] {
        try text.sequence.keepUndoLog(depth: 12)
        text.sequence.append(StoredText.prompt)
      }
      let checkpointer = run.checkpointer(store)
      let prepare = { (text: StoredText, token: Int) in
        guard token == lost, trouble == .takenBack else { return }
        try text.sequence.rollBack(tokens: 7)
        text.sequence.append([Int32](repeating: 9, count: 7))
      }
      let expected = try alone.write(14) { try prepare(alone, $0) }
      let output = try run.write(14) { token in
        try prepare(run, token)
        if token == saved { try checkpointer.save(run.sequence) }
        guard token == lost else { return }
        switch trouble {
        case .removed:
          store.flush()
          try store.remove("text")
        case .replaced:
          let other = try StoredText(.full, nil)
          other.sequence.append(StoredText.prompt.reversed())
          _ = try other.write(2)
          try other.checkpointer(store).save(other.sequence)
        case .takenBack: break
        case .lostAgain: workers.framesOfNext = frame
        }
        workers.channels[1].last?.framesLeft = 2
      }
      #expect(output == expected, "\(trouble) \(frame)")
      #expect(run.sequence.tokensReadAgain >= (trouble == .lostAgain ? lost - saved : StoredText.prompt.count))
    }
  }

  @Test("of workers that do not know snapshots are computed again")
  func withoutAbility() throws {
    let (store, workers) = (try store(), try TestWorkers(2))
    workers.hidesAbilities = true
    let unbroken = try StoredText(.full, nil)
    unbroken.sequence.append(StoredText.prompt)
    let expected = try unbroken.write(12)
    var output: [Int32] = []
    for (index, division) in [WorkDivision(heads: 2), WorkDivision(requests: 2), nil].enumerated() {
      let run = try StoredText(.full, division, workers: workers)
      let resumption = try run.resume(store)
      if index == 0 { run.sequence.append(StoredText.prompt) }
      #expect(resumption.miss == (index == 0 ? .neverStored : .notTaken) && resumption.tokens == 0)
      output += try run.write(4)
      try run.checkpointer(store).save(run.sequence)
      store.flush()
    }
    #expect(output == expected)
  }
}
