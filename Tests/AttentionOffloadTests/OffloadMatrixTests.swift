import AttentionOffload
import CacheTestSupport
import KVCaches
import Kernels
import TestSupport
import Testing

@Suite("Attention by workers equals that of one process")
struct OffloadMatrixTests {
  static let plans = StageMatrix.plans + ["duo-attention:2+9[heads=mask]", "cascading:28/3[sinks=2]"]
  static let divisions = [
    WorkDivision(), WorkDivision(heads: 2), WorkDivision(heads: 4), WorkDivision(requests: 2), WorkDivision(slots: 2),
    WorkDivision(slots: 2, heads: 2), WorkDivision(requests: 2, heads: 2),
  ]

  private func local() throws -> LocalAttention {
    LocalAttention(layers: OffloadSubject.layers, team: try WorkerTeam(threads: 1), kernels: .current)
  }

  private func plan(_ text: String) throws -> KVCache.Plan {
    try KVCache.Plan(text, resolver: OffloadSubject.resolver)
  }

  private func expect(
    _ outputs: [[Float]], equal expected: [[Float]], exactly: Bool, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    for (layer, (output, expected)) in zip(outputs, expected).enumerated() {
      if exactly {
        #expect(output == expected, "layer \(layer), \(what)", sourceLocation: sourceLocation)
      } else {
        #expect(relativeError(output, expected) < 1e-5, "layer \(layer), \(what)", sourceLocation: sourceLocation)
      }
    }
  }

  /// Steps of one token and of several, a prompt's end between them, and more after it.
  @Test("under every plan that a division leaves as it is", arguments: plans)
  func everyPlan(text: String) throws {
    let (plan, sequence, local) = (try plan(text), OffloadSubject.sequences[0], try local())
    var allowed = 0
    for slotType in [KVCache.SlotType.float32, .q8_0] {
      for chunking in [Chunking.sizes([20, 1, 1, 9, 1]), .random(largest: 17, seed: 5)] {
        let cache = try local.makeMemory(plan, slotType: slotType)
        let expected = local.run(cache, sequence, 0..<72, chunking, promptEnd: 31)
        for division in Self.divisions {
          for overlap in RemoteAttention.Overlap.allCases {
            let remote = try TestWorkers(division.workers).attention(
              OffloadSubject.layers, division, options: .init(overlap: overlap))
            let what = "\(text) \(slotType) \(chunking) \(division) \(overlap)"
            guard remote.problem(with: plan) == nil else {
              #expect(throws: KVCacheError.self, "\(what)") { try remote.makeMemory(plan, slotType: slotType) }
              continue
            }
            allowed += 1
            let memory = try remote.makeMemory(plan, slotType: slotType)
            let outputs = remote.run(memory, sequence, 0..<72, chunking, promptEnd: 31)
            #expect(memory.failure == nil, "\(what)")
            #expect(memory.tokenCount == 72 && memory.heldTokens == cache.heldTokens, "\(what)")
            expect(outputs, equal: expected, exactly: division.slots == 1, what)
          }
        }
      }
    }
    // By requests everything can be divided that workers can do at all.
    let isForWorkers = plan.prompt?.recompression == nil
    #expect(allowed >= (isForWorkers ? 24 : 0), "\(text)")
  }

  @Test("a division that would change a plan says why")
  func refusals() throws {
    let expected: [(String, WorkDivision, String)] = [
      ("tova:15[homogeneous=on]", WorkDivision(heads: 2), "by heads"),
      ("snapkv:20[window=7,heads=adaptive]", WorkDivision(heads: 2), "by heads"),
      ("h2o:16", WorkDivision(slots: 2), "depends on all of them"),
      ("streaming-llm:4+12", WorkDivision(slots: 2), "bounded"),
      ("window:7,tokens", WorkDivision(slots: 2), "tokens move"),
      ("k-center:20[window=7,recompress=5]", WorkDivision(), "between steps"),
    ]
    for (text, division, reason) in expected {
      let remote = try TestWorkers(division.workers).attention(OffloadSubject.layers, division)
      let problem = try #require(remote.problem(with: plan(text)), "\(text)")
      #expect(problem.contains(reason), "\(text): \(problem)")
    }
    #expect(throws: OffloadError.self) {
      try TestWorkers(5).attention(OffloadSubject.layers, WorkDivision(heads: 5))
    }
  }

  @Test("of several sequences in a step", arguments: divisions, ["full", "streaming-llm:4+12", "h2o:16"])
  func severalSequences(division: WorkDivision, text: String) throws {
    let (plan, sequences, local) = (try plan(text), OffloadSubject.sequences, try local())
    let remote = try TestWorkers(division.workers).attention(OffloadSubject.layers, division)
    guard remote.problem(with: plan) == nil else { return }
    let expected = try sequences.map { _ in try local.makeMemory(plan, slotType: .float16) }
    let memories = try sequences.map { _ in try remote.makeMemory(plan, slotType: .float16) }
    for tokens in [0..<9, 9..<10, 10..<11, 11..<14, 14..<15] {
      let a = local.drive(zip(expected, sequences).map { ($0, $1, tokens) })
      let b = remote.drive(zip(memories, sequences).map { ($0, $1, tokens) })
      expect(b, equal: a, exactly: division.slots == 1, "\(tokens)")
    }
    // A step of some of them only.
    let a = local.drive([(expected[2], sequences[2], 15..<17), (expected[0], sequences[0], 15..<16)])
    let b = remote.drive([(memories[2], sequences[2], 15..<17), (memories[0], sequences[0], 15..<16)])
    expect(b, equal: a, exactly: division.slots == 1, "some")
  }

  @Test("with tokens that are taken back", arguments: divisions, ["full", "streaming-llm:4+12", "h2o:16"])
  func takingBack(division: WorkDivision, text: String) throws {
    let (plan, sequence, local) = (try plan(text), OffloadSubject.sequences[0], try local())
    let remote = try TestWorkers(division.workers).attention(OffloadSubject.layers, division)
    guard remote.problem(with: plan) == nil else { return }
    let (a, b) = (try local.makeMemory(plan, slotType: .float16), try remote.makeMemory(plan, slotType: .float16))
    for cache in [a, b] { try cache.keepUndoLog(depth: 12) }
    _ = local.run(a, sequence, 0..<30, .sizes([20, 1, 1, 4, 1]))
    _ = remote.run(b, sequence, 0..<30, .sizes([20, 1, 1, 4, 1]))
    let taken = try a.rollBack(tokens: 6)
    #expect(try b.rollBack(tokens: 6) == taken)
    let rest = 30 - taken..<60
    expect(
      remote.run(b, sequence, rest, .ones), equal: local.run(a, sequence, rest, .ones), exactly: division.slots == 1,
      "after \(taken) tokens were taken back")
    for cache in [a, b] { cache.reset() }
    expect(
      remote.run(b, sequence, 0..<9, .whole), equal: local.run(a, sequence, 0..<9, .whole),
      exactly: division.slots == 1, "after a reset")
    #expect(b.failure == nil)
  }

  @Test("of halves on the wire are near", arguments: divisions)
  func halves(division: WorkDivision) throws {
    let (sequence, local) = (OffloadSubject.sequences[0], try local())
    let expected = local.run(try local.makeMemory(.full, slotType: .float32), sequence, 0..<40, .ones)
    let remote = try TestWorkers(division.workers).attention(
      OffloadSubject.layers, division, options: .init(format: .float16, overlap: .always))
    let outputs = remote.run(try remote.makeMemory(.full, slotType: .float32), sequence, 0..<40, .ones)
    for (output, expected) in zip(outputs, expected) {
      let error = relativeError(output, expected)
      #expect(error > 0 && error < 2e-3)
    }
  }

  @Test("memory is divided among workers")
  func memory() throws {
    let sequence = OffloadSubject.sequences[0]
    let whole = KVCache.bytes(plan: .full, shape: OffloadSubject.shape, slotType: .float16, tokens: 72)
    for division in [WorkDivision(heads: 2), WorkDivision(heads: 4), WorkDivision(requests: 2)] {
      let workers = try TestWorkers(division.workers)
      let remote = try workers.attention(OffloadSubject.layers, division)
      let memories = try (0..<2).map { _ in try remote.makeMemory(.full, slotType: .float16) }
      for memory in memories { _ = remote.run(memory, sequence, 0..<72, .whole) }
      for worker in workers.workers { #expect(worker.heldBytes == 2 * whole / division.workers, "\(division)") }
      #expect(memories[0].bytes == whole)
    }
    let workers = try TestWorkers(2)
    let remote = try workers.attention(OffloadSubject.layers, WorkDivision(slots: 2))
    let memory = try remote.makeMemory(.full, slotType: .float16)
    _ = remote.run(memory, sequence, 0..<72, .whole)
    #expect(workers.workers.reduce(0) { $0 + $1.heldBytes } == whole && workers.workers[1].heldBytes > 0)
  }

  @Test("a sequence that nobody has any more takes no memory")
  func closing() throws {
    let workers = try TestWorkers(2)
    let remote = try workers.attention(OffloadSubject.layers, WorkDivision(heads: 2))
    var memories = try (0..<3).map { _ in try remote.makeMemory(.full, slotType: .float16) }
    for memory in memories { _ = remote.run(memory, OffloadSubject.sequences[0], 0..<40, .whole) }
    let held = workers.workers[0].heldBytes
    memories.removeLast(2)
    _ = remote.run(memories[0], OffloadSubject.sequences[0], 40..<41, .whole)
    #expect(workers.workers[0].heldBytes == held / 3)
  }

  @Test("a worker that is full refuses, and says so")
  func fullWorker() throws {
    let bytes = KVCache.bytes(
      plan: try plan("window:4096"), shape: OffloadSubject.shape, slotType: .float16, tokens: 0)
    let remote = try TestWorkers(1, memoryBytes: bytes + bytes / 2).attention(OffloadSubject.layers, WorkDivision())
    let first = try remote.makeMemory(plan("window:4096"), slotType: .float16)
    #expect(throws: KVCacheError.self) { try remote.makeMemory(plan("window:4096"), slotType: .float16) }
    _ = remote.run(first, OffloadSubject.sequences[0], 0..<9, .whole)
    #expect(first.failure == nil)
  }
}
