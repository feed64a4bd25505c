import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// H2O and TOVA with the prompt read whole, as they were published.
@Suite("Prompts that are read whole and cut at their end")
struct WholePromptTests {
  /// A cache, and what the specification says of it.
  struct Subject: Sendable, CustomStringConvertible {
    var plan: String
    var budget: Int
    var sinks: Int
    var window: Int
    var isLayerwise = false
    var description: String { plan }

    func reference(_ sequence: TokenSequence) -> ReferenceWholePrompt {
      ReferenceWholePrompt(
        sequence, budget: budget, protected: .init(first: sinks, newest: window),
        onlyNewestQuery: plan.hasPrefix("tova"), isLayerwise: isLayerwise)
    }
  }

  static let subjects = [
    Subject(plan: "h2o:40[prompt=whole,sinks=0]", budget: 40, sinks: 0, window: 20),
    Subject(plan: "h2o:40[prompt=whole]", budget: 40, sinks: 4, window: 18),
    Subject(plan: "h2o:23[prompt=whole,sinks=1,window=3]", budget: 23, sinks: 1, window: 3),
    Subject(plan: "h2o:30[prompt=whole,sinks=0,homogeneous=on]", budget: 30, sinks: 0, window: 15, isLayerwise: true),
    Subject(plan: "tova:24[prompt=whole,sinks=0]", budget: 24, sinks: 0, window: 1),
    Subject(plan: "tova:24[prompt=whole,sinks=0,homogeneous=on]", budget: 24, sinks: 0, window: 1, isLayerwise: true),
    Subject(plan: "tova:40[prompt=whole]", budget: 40, sinks: 4, window: 1),
  ]

  private static func sequence(group: Int) -> TokenSequence {
    let shape = KVCache.Shape(layers: 2, queryHeads: 2 * group, keyValueHeads: 2, headDim: 32)
    let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: .halves))
    return TokenSequence(shape: shape, positions: positions, count: 220, seed: 61)
  }

  private func held(_ cache: KVCache) -> [[[Int]]] {
    (0..<2).map { layer in (0..<2).map { cache.heldTokens(layer: layer, head: $0) } }
  }

  @Test("prompt, cut and answer equal the authors' procedure in Float64", arguments: subjects)
  func equalsReference(subject: Subject) throws {
    for (group, prompt) in [(3, 150), (1, 150), (2, 20), (1, 41)] {
      let sequence = Self.sequence(group: group)
      var reference = subject.reference(sequence)
      let read = reference.read(prompt)
      reference.evict()
      let kept = reference
      let answer = reference.decode(45)
      for (threads, chunking) in [(1, Chunking.ones), (1, .whole), (2, .sizes([17])), (3, .sizes([64, 1, 30]))] {
        let team = try WorkerTeam(threads: threads)
        let attention = LocalAttention(layers: sequence.layers, team: team, kernels: InstructionSet.current)
        let cache = try KVCache(plan: KVCache.Plan(subject.plan), layers: sequence.layers, slotType: .float32)
        cache.recordTokens()
        let outputs = attention.run(cache, sequence, tokens: 0..<prompt, chunking: chunking)
        #expect(
          sequence.shape.largestError(outputs, read).0 <= CacheCase.tolerance(.float32), "\(subject), \(chunking)")
        #expect(cache.heldTokens == prompt)
        cache.finishPrompt(team: team, kernels: .current)
        #expect(cache.heldTokens == min(prompt, subject.budget) && cache.tokenCount == prompt)
        for (layer, heads) in held(cache).enumerated() {
          for (head, tokens) in heads.enumerated() {
            #expect(tokens == kept.held(layer: layer, head: head), "\(subject), \(chunking), \(prompt) tokens")
          }
        }
        let decoded = attention.run(cache, sequence, tokens: prompt..<prompt + 45, chunking: .ones)
        let (error, place) = sequence.shape.largestError(decoded, answer)
        #expect(error <= CacheCase.tolerance(.float32), "\(subject), \(chunking), \(prompt) tokens: \(place)")
        for (layer, heads) in held(cache).enumerated() {
          for (head, tokens) in heads.enumerated() {
            #expect(tokens == reference.held(layer: layer, head: head), "\(subject), \(chunking), after the answer")
          }
        }
      }
    }
  }

  @Test("which tokens stay differs from a prompt that is evicted while it is read")
  func differsFromStreamed() throws {
    let sequence = Self.sequence(group: 3)
    let team = try WorkerTeam(threads: 1)
    let attention = LocalAttention(layers: sequence.layers, team: team, kernels: InstructionSet.current)
    for name in ["h2o:40", "tova:40"] {
      let caches = try [name, "\(name)[prompt=whole]"].map {
        try KVCache(plan: KVCache.Plan($0), layers: sequence.layers, slotType: .float32)
      }
      for cache in caches {
        cache.recordTokens()
        _ = attention.run(cache, sequence, tokens: 0..<150, chunking: .sizes([30]))
        cache.finishPrompt(team: team, kernels: .current)
      }
      #expect(held(caches[0]) != held(caches[1]), "\(name)")
      // After the prompt both are the same kind of cache, and take as much.
      #expect(caches[0].bytes == caches[1].bytes && caches[0].heldTokens == caches[1].heldTokens)
    }
  }

  @Test(
    "bytes are known while a prompt is read, and those of the bounded cache after it", arguments: ["h2o:40", "tova:90"])
  func bytes(name: String) throws {
    let sequence = Self.sequence(group: 1)
    let plan = try KVCache.Plan("\(name)[prompt=whole]")
    let bounded = KVCache.bytes(plan: try KVCache.Plan(name), shape: sequence.shape, slotType: .float16, tokens: 0)
    let team = try WorkerTeam(threads: 1)
    let attention = LocalAttention(layers: sequence.layers, team: team, kernels: InstructionSet.current)
    let cache = try KVCache(plan: plan, layers: sequence.layers)
    for _ in 0..<2 {
      #expect(cache.bytes == bounded)
      _ = attention.run(cache, sequence, tokens: 0..<210, chunking: .random(largest: 9, seed: 3)) { tokens in
        let bytes = KVCache.bytes(plan: plan, shape: sequence.shape, slotType: .float16, tokens: tokens)
        if cache.bytes != bytes { Issue.record("\(cache.bytes) bytes after \(tokens) tokens, not \(bytes)") }
      }
      #expect(cache.bytes > bounded)
      cache.finishPrompt(team: team, kernels: .current)
      #expect(cache.bytes == bounded)
      cache.reset()
    }
  }

  @Test("snapshots of a prompt under way, and of what is left of it, go on bit for bit", arguments: subjects)
  func snapshots(subject: Subject) throws {
    let sequence = Self.sequence(group: 2)
    let team = try WorkerTeam(threads: 1)
    let attention = LocalAttention(layers: sequence.layers, team: team, kernels: InstructionSet.current)
    let make = { try KVCache(plan: KVCache.Plan(subject.plan), layers: sequence.layers) }
    for saved in [10, 100, 150, 170] {
      let (cache, taken) = (try make(), try make())
      let drive = { (cache: KVCache, tokens: Range<Int>) in
        var outputs: [[[Float]]] = []
        for part in [0..<150, 150..<220] where part.overlaps(tokens) {
          outputs.append(
            attention.run(cache, sequence, tokens: part.clamped(to: tokens), chunking: .sizes([20, 1, 1, 7])))
          if part.clamped(to: tokens).upperBound == 150 { cache.finishPrompt(team: team, kernels: .current) }
        }
        return outputs
      }
      _ = drive(cache, 0..<saved)
      // From whatever state the other one is in.
      _ = drive(taken, 0..<(saved == 100 ? 160 : 30))
      try taken.restore(cache.snapshot())
      #expect(taken.snapshot() == cache.snapshot() && taken.bytes == cache.bytes)
      #expect(drive(taken, saved..<220) == drive(cache, saved..<220), "\(subject) after \(saved)")
      #expect(taken.snapshot() == cache.snapshot(), "\(subject) after \(saved)")
    }
  }

  @Test("counters that claim a prompt which is not there are refused")
  func forgedCounters() throws {
    let sequence = Self.sequence(group: 1)
    let attention = LocalAttention(
      layers: sequence.layers, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
    let cache = try KVCache(plan: KVCache.Plan("h2o:20[prompt=whole,sinks=0]"), layers: sequence.layers)
    _ = attention.run(cache, sequence, tokens: 0..<60, chunking: .whole)
    let forge = SnapshotForge(cache.snapshot())
    // The token count, the window's two counters, the scored stage's count, and whether it is open.
    #expect(forge.counters.map(forge.counter) == [60, 60, 60, 50, 1])
    for (count, isOpen) in [(50, 0), (51, 1), (1 << 30, 1), (-1, 1), (50, 2), (.max, 1)] as [(Int64, Int64)] {
      for tokens in [60, 61, Int64(1) << 30 + 10] {
        #expect(throws: KVCacheError.self) { try cache.restore(forge.with([0: tokens, 3: count, 4: isOpen])) }
      }
    }
    try cache.restore(forge.snapshot)
  }
}
