import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// The way of tokens into a stage in which they melt together.
@Suite("Melting stages")
struct MeltingTests {
  struct Subject: Sendable, CustomTestStringConvertible {
    var stages: [any StageSpecification]
    var testDescription: String { stages.map(\.description).joined(separator: ",") }
    var plan: KVCache.Plan { KVCache.Plan(stages: stages) }

    init(_ stages: any StageSpecification...) { self.stages = stages }
  }

  static let subjects = [
    Subject(Window(1), ReferenceMelting()),
    Subject(Window(7), ReferenceMelting(distance: .original)),
    Subject(Sinks(3), Window(7), ReferenceMelting()),
    Subject(Sinks(2), Window(5, every: 1), Window(6, every: 2), ReferenceMelting()),
    Subject(Sinks(2), Window(5), Scored(9), ReferenceMelting()),
    Subject(Sinks(1), Window(1), Scored(12, distance: .original), ReferenceMelting(distance: .original)),
  ]

  @Test("every token melts where, when and as it should", arguments: subjects)
  func everyToken(subject: Subject) throws {
    try check(subject, group: 3, layout: .halves, threads: [1, 3])
    try check(subject, group: 1, layout: .interleaved, threads: [1])
    if !subject.plan.usesOriginalPositions { try check(subject, group: 2, layout: nil, threads: [1, 2]) }
  }

  private func check(_ subject: Subject, group: Int, layout: RotaryLayout?, threads: [Int]) throws {
    let shape = KVCache.Shape(layers: 2, queryHeads: 2 * group, keyValueHeads: 2, headDim: 16)
    let positions: PositionEncoding =
      layout.map { .rotary(RotaryEmbedding(dim: 16, base: 10_000, layout: $0)) }
      ?? .linearBias(slopes: (1...shape.queryHeads).map { 1 / Float(1 + $0) })
    let sequence = TokenSequence(shape: shape, positions: positions, count: 90, seed: 29)
    let reference = ReferenceSelection(sequence, plan: subject.plan)
    for chunking in [Chunking.ones, .sizes([7]), .random(largest: 30, seed: 4), .whole] {
      let expected = reference.run(chunking)
      for threads in threads {
        let attention = LocalAttention(
          shape: shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
        let cache = try KVCache(plan: subject.plan, shape: shape, slotType: .float32, positions: positions)
        let outputs = attention.run(cache, sequence, tokens: 0..<90, chunking: chunking)
        let (error, place) = shape.largestError(outputs, expected.outputs)
        #expect(error <= 1e-5, "\(subject.testDescription), group \(group), \(threads) threads, \(chunking): \(place)")
        try checkObserved(cache, sequence)
        #expect(melted(of: cache) == expected.held.map { $0.map(\.melted.count) })
      }
    }
  }

  private func melted(of cache: KVCache) -> [[Int]] {
    guard let ledger = cache.groups[0].state(ReferenceSummary.self) else { return [] }
    return (0..<cache.shape.layers).map { layer in
      (0..<2).map { ledger.keys[layer * 2 + $0].count / cache.shape.headDim }
    }
  }

  /// A summary that wants to sees the key of every token once, as it would melt, while the cache has room.
  private func checkObserved(_ cache: KVCache, _ sequence: TokenSequence) throws {
    let ledger = try #require(cache.groups[0].state(ReferenceSummary.self))
    let room = try #require(cache.plan.capacity)
    for layer in 0..<2 {
      for head in 0..<2 {
        let seen = ledger.observed[layer * 2 + head]
        #expect(seen.count == room * 16)
        guard !cache.plan.usesOriginalPositions else { continue }
        for token in 0..<room {
          #expect(seen[token * 16..<(token + 1) * 16] == sequence.key(layer: layer, token: token, head: head))
        }
      }
    }
  }

  @Test("a spread query is the mean of the query at all positions", arguments: [RotaryLayout.halves, .interleaved])
  func spread(layout: RotaryLayout) {
    let rotary = RotaryEmbedding(dim: 16, base: 10_000, layout: layout)
    var (cosine, sine) = ([Float](repeating: 0, count: 8), [Float](repeating: 0, count: 8))
    rotary.angles(at: 37, cosine: &cosine, sine: &sine)
    rotary.spread(over: 500, cosine: &cosine, sine: &sine)
    for (pair, frequency) in rotary.frequencies.enumerated() {
      // The middle of each of many short stretches.
      let angles = (0..<50_000).map { frequency * (37 + (Double($0) + 0.5) / 100) }
      #expect(abs(Double(cosine[pair]) - angles.reduce(0) { $0 + $1.cosine } / 50_000) < 1e-5)
      #expect(abs(Double(sine[pair]) - angles.reduce(0) { $0 + ($1 - .pi / 2).cosine } / 50_000) < 1e-5)
    }
  }

  @Test("ALiBi takes off what it takes off on average over the spread", arguments: [0, 40])
  func spreadBias(spread: Int) throws {
    let slope: Float = 0.1
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 2)
    var ledger = ReferenceMelting()
    ledger.distanceSpread = spread
    let cache = try KVCache(
      plan: KVCache.Plan(stages: [Window(1), ledger]), shape: shape, slotType: .float32,
      positions: .linearBias(slopes: [slope]))
    let attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: .current)
    var output: [Float] = [0, 0]
    // All logits are 0. The two tokens that melted have the value 1, the two others 0.
    for token in 0..<4 {
      attention.beginStep(cache, rows: 1)
      let value = [Float](repeating: token < 2 ? 1 : 0, count: 2)
      attention.begin(layer: 0, queries: [0, 0])
      attention.finish(layer: 0, keys: [0, 0], values: value, output: &output)
    }
    let positions = spread == 0 ? [2.0] : (0..<4000).map { 2 + 40 * (Double($0) + 0.5) / 4000 }
    let melted = 2 * positions.reduce(0) { $0 + exp(-Double(slope) * $1) } / Double(positions.count)
    let expected = melted / (melted + 1 + exp(-Double(slope)))
    #expect(abs(Double(output[0]) - expected) < 1e-4)
  }

  @Test("a stage that melts tokens stands last, behind a window, with one kind of positions")
  func impossiblePlans() {
    let impossible: [[any StageSpecification]] = [
      [ReferenceMelting()], [Sinks(4), ReferenceMelting()], [ReferenceMelting(), Window(5)],
      [Tokens(), ReferenceMelting()],
      [Window(4), Scored(3), ReferenceMelting(distance: .original)],
      [Window(4), ReferenceMelting(), ReferenceMelting()],
      [Window(4, every: 2), ReferenceMelting(distance: .original)],
    ]
    for stages in impossible { #expect(KVCache.Plan.problem(with: stages) != nil, "\(stages)") }
    #expect(KVCache.Plan.problem(with: [Sinks(4), Window(5), Scored(3), ReferenceMelting()]) == nil)
  }
}
