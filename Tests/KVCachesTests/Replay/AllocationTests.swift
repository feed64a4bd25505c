import CAllocationCounter
import CacheTestSupport
import KVCaches
import Kernels
import Testing

@Suite("Nothing allocates in the decode loop", .enabled(if: allocation_count() >= 0, "allocations cannot be counted"))
struct AllocationTests {
  @Test("the counter counts, each thread for itself")
  func counterCounts() {
    let before = allocation_count()
    let memory = (0..<10).map { UnsafeMutableRawPointer.allocate(byteCount: 100 + $0, alignment: 64) }
    #expect(allocation_count() >= before + 10)
    for pointer in memory { pointer.deallocate() }
  }

  @Test(
    "a warm step of a bounded cache allocates nothing, in no layer and no thread",
    arguments: [
      "window:20", "streaming-llm:4+20", "sinks:2,window:7,window:9", "sinks:2,window:9,moments:4",
      "h2o:24[positions=clipped]", "cascading:36/4",
    ],
    [1, 2, 3])
  func warmStep(plan: String, threads: Int) throws {
    for positions in [CacheCase(plan: plan).positions, CacheCase(plan: plan, usesLinearBias: true).positions] {
      for chunk in [1, 5, 40] {
        let counts = try allocations(plan: plan, positions: positions, threads: threads, chunk: chunk)
        #expect(counts == [Int](repeating: 0, count: threads), "chunks of \(chunk)")
      }
    }
  }

  @Test("choosing pages allocates nothing while their stage does not grow", arguments: [1, 2, 3])
  func warmPages(threads: Int) throws {
    for plan in ["pages:32[dense-layers=1]", "window:9,pages:48[dense-layers=0]"] {
      let counts = try allocations(plan: plan, positions: CacheCase(plan: plan).positions, threads: threads, chunk: 1)
      #expect(counts == [Int](repeating: 0, count: threads), "\(plan)")
    }
  }

  @Test("what was chosen of a prompt is read without allocating", arguments: [1, 2, 3])
  func warmAnswer(threads: Int) throws {
    for plan in ["snapkv:40[window=8]", "k-center:44", "k-center:44[recompress=64]"] {
      let positions = CacheCase(plan: plan).positions
      let counts = try allocations(plan: plan, positions: positions, threads: threads, chunk: 1, endsPrompt: true)
      #expect(counts == [Int](repeating: 0, count: threads), "\(plan)")
    }
  }

  @Test(
    "what melts allocates nothing",
    arguments: [
      "clusters:9[half-life=40]", "clusters:9", "clusters:8[kind=paper]", "uniform:8",
    ], [1, 3])
  func warmMelting(stage: String, threads: Int) throws {
    let plan = "sinks:2,window:7,\(stage)"
    for chunk in [1, 5] {
      let counts = try allocations(
        plan: plan, positions: CacheCase(plan: plan).positions, threads: threads, chunk: chunk)
      #expect(counts == [Int](repeating: 0, count: threads), "chunks of \(chunk)")
    }
  }

  /// Allocations of each thread in ten steps of `chunk` tokens, after the cache has turned over once.
  private func allocations(
    plan: String, positions: PositionEncoding, threads: Int, chunk: Int, endsPrompt: Bool = false
  ) throws -> [Int] {
    let shape = CacheCase(plan: plan).shape
    let sequence = TokenSequence(shape: shape, positions: positions, count: chunk, seed: 5)
    let cache = try KVCache(plan: KVCache.Plan(plan), shape: shape, positions: positions)
    let team = try WorkerTeam(threads: threads)
    let attention = LocalAttention(shape: shape, team: team, kernels: InstructionSet.current)
    let past = TokenSequence(shape: shape, positions: positions, count: 90, seed: 6)
    _ = attention.run(cache, past, tokens: 0..<90, chunking: .sizes([chunk]))
    if endsPrompt { cache.finishPrompt(team: team, kernels: InstructionSet.current) }
    let output = UnsafeMutablePointer<Float>.allocate(capacity: chunk * shape.queryHeads * shape.headDim)
    let (before, after) = (Buffer<Int>(count: threads), Buffer<Int>(count: threads))
    defer { output.deallocate() }
    let segments = [LocalAttention.Segment(memory: cache, rows: 0..<chunk)]
    let step = {
      attention.beginStep(segments)
      for layer in 0..<shape.layers {
        sequence.queries[layer].withUnsafeBufferPointer { queries in
          sequence.keys[layer].withUnsafeBufferPointer { keys in
            sequence.values[layer].withUnsafeBufferPointer { values in
              attention.begin(layer: layer, queries: queries.baseAddress!)
              attention.finish(
                layer: layer, keys: keys.baseAddress!, values: values.baseAddress!, output: output)
            }
          }
        }
      }
    }
    // The first token after a prompt makes room behind what was chosen, the second one reads there.
    for _ in 0..<2 { step() }
    let note = { (counts: Buffer<Int>) in
      team.run(counts.pointer) { context, thread, _ in
        context?.assumingMemoryBound(to: Int.self)[Int(thread)] = allocation_count()
      }
    }
    note(before)
    for _ in 0..<10 { step() }
    note(after)
    return (0..<threads).map { after[$0] - before[$0] }
  }
}
