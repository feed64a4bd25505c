import CacheTestSupport
import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Melting stages as part of a cache.
@Suite("Caches that melt tokens")
struct MeltingCacheTests {
  static let shape = KVCache.Shape(layers: 2, queryHeads: 6, keyValueHeads: 2, headDim: 32)
  static let rotary = PositionEncoding.rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: .halves))

  private func attention(threads: Int = 1) throws -> LocalAttention {
    LocalAttention(shape: Self.shape, team: try WorkerTeam(threads: threads), kernels: InstructionSet.current)
  }

  private func cache(_ plan: String, _ positions: PositionEncoding) throws -> KVCache {
    try KVCache(plan: try KVCache.Plan(plan), shape: Self.shape, slotType: .float32, positions: positions)
  }

  @Test("while everything has a slot, nothing is lost", arguments: ["clusters:80", "uniform:80"])
  func exactWhileThereIsRoom(stage: String) throws {
    for (positions, option) in [(PositionEncoding.none, ""), (Self.rotary, "[positions=original]")] {
      let sequence = TokenSequence(shape: Self.shape, positions: positions, count: 90, seed: 5)
      let attention = try attention(threads: 2)
      let expected = attention.run(try cache("full", positions), sequence, tokens: 0..<90, chunking: .ones)
      for chunking in [Chunking.ones, .random(largest: 9, seed: 1)] {
        let outputs = attention.run(
          try cache("sinks:3,window:9,\(stage)\(option)", positions), sequence, tokens: 0..<90, chunking: chunking)
        let (error, place) = Self.shape.largestError(outputs, expected)
        #expect(error <= 1e-5, "\(stage) \(option) \(chunking): \(place)")
      }
    }
  }

  @Test(
    "neither chunks nor threads change what remains",
    arguments: [
      "subgen:64", "subgen:64[half-life=off]", "subgen:64[mode=paper,t=2,seed=3]",
      "uniform:64[window=9,positions=original]",
    ])
  func chunksAndThreads(plan: String) throws {
    let sequence = TokenSequence(shape: Self.shape, positions: Self.rotary, count: 250, seed: 6)
    let reference = try cache(plan, Self.rotary)
    _ = try attention().run(reference, sequence, tokens: 0..<250, chunking: .ones)
    let expected = summary(of: reference)
    #expect(!expected.isEmpty)
    for (chunking, threads) in [(Chunking.whole, 1), (.random(largest: 40, seed: 2), 3), (.ones, 2)] {
      let cache = try cache(plan, Self.rotary)
      _ = try attention(threads: threads).run(cache, sequence, tokens: 0..<250, chunking: chunking)
      #expect(summary(of: cache) == expected, "\(plan) \(chunking) \(threads)")
    }
  }

  private func summary(of cache: KVCache) -> [UInt8] {
    var writer = SectionWriter()
    for group in cache.groups {
      guard let summary = group.state(StageSummary.self) else { continue }
      for place in 0..<group.heads.count { summary.write(head: place, to: &writer) }
    }
    return writer.bytes
  }

  /// The paper's estimator behind exact stages: one quotient of sums over both.
  @Test("samples join the exact stages as one quotient", arguments: [1, 3])
  func hybrid(threads: Int) throws {
    let sequence = TokenSequence(shape: Self.shape, positions: .none, count: 80, seed: 7)
    let cache = try cache("sinks:2,window:6,clusters:20[kind=paper,t=2,s=8,seed=1]", .none)
    let attention = try attention(threads: threads)
    _ = attention.run(cache, sequence, tokens: 0..<79, chunking: .sizes([11]))
    let summary = try #require(cache.groups[0].state(SubGenSummary.self))
    let before = (0..<4).map { head in SummaryHead(summary, head: head) }
    let held = [0, 1] + Array(73..<80)
    var expected = [[Float]](repeating: [], count: 2)
    for layer in 0..<2 {
      for queryHead in 0..<6 {
        let query = sequence.query(layer: layer, token: 79, head: queryHead).map { $0 / Float(32).squareRoot() }
        let sampled = before[layer * 2 + queryHead / 3].attend(query)
        let exact = ExactSums(
          held.map { token in
            Token(
              key: Array(sequence.key(layer: layer, token: token, head: queryHead / 3)),
              value: Array(sequence.value(layer: layer, token: token, head: queryHead / 3)))
          }, query: query)
        let denominator = exact.denominator + sampled.denominator
        expected[layer] += zip(exact.numerator, sampled.numerator).map { Float(($0 + $1) / denominator) }
      }
    }
    let outputs = attention.step(cache, sequence, tokens: 79..<80)
    let (error, place) = Self.shape.largestError(outputs, expected)
    #expect(error <= 1e-5, "\(place)")
  }

  @Test(
    "presets divide a budget",
    arguments: [
      ("subgen:1024", "sinks:4,window:256,clusters:764[half-life=764]"),
      ("subgen:64", "sinks:4,window:32,clusters:28[half-life=28]"),
      ("subgen:64[half-life=9,window=40]", "sinks:4,window:40,clusters:20[half-life=9]"),
      (
        "subgen:512[mode=paper,t=2,s=100,delta=0.5,seed=9,sinks=0,window=12]",
        "window:12,clusters:500[kind=paper,t=2,s=100,delta=0.5,seed=9]"
      ),
      ("subgen:512[mode=ward,half-life=off,positions=original]", "sinks:4,window:128,clusters:380[positions=original]"),
      ("window:9,clusters:4[half-life=off]", "window:9,clusters:4"),
      ("uniform:512", "sinks:4,window:128,uniform:380"),
      ("uniform:512[seed=3,positions=clipped]", "sinks:4,window:128,uniform:380[seed=3]"),
      ("uniform:512[positions=original]", "sinks:4,window:128,uniform:380[positions=original]"),
    ])
  func presets(specification: String, normal: String) throws {
    let plan = try KVCache.Plan(specification)
    #expect(plan.description == normal)
    #expect(try KVCache.Plan(normal) == plan)
  }

  @Test(
    "what cannot be is refused",
    arguments: [
      "subgen", "subgen:36", "subgen:64[window=60]", "subgen:64[kind=paper]", "subgen:64[mode=other]", "subgen:64[t=2]",
      "subgen:64[half-life=0]", "subgen:64[half-life=-1]", "subgen:64[mode=paper,half-life=9]",
      "subgen:64[mode=paper,s=28]", "subgen:64[mode=paper,t=200]", "subgen:64[mode=paper,delta=-1]",
      "subgen:64[mode=paper,delta=inf]", "subgen:64[mode=paper,seed=-1]", "window:8,clusters:1[kind=paper]",
      "clusters:5",
      "window:8,clusters:0", "window:8,uniform:8[positions=incache]", "window:8,uniform:8,window:4",
    ])
  func refused(specification: String) {
    #expect(throws: KVCacheError.self) { try KVCache.Plan(specification) }
  }

  @Test("the bytes of samples in slots are those of slots, nearly")
  func bytes() throws {
    let shape = KVCache.Shape(layers: 30, queryHeads: 9, keyValueHeads: 3, headDim: 64)
    let sizes = try ["streaming-llm:4+1020", "subgen:1024", "subgen:1024[mode=paper]", "uniform:1024"].map {
      KVCache.bytes(plan: try KVCache.Plan($0), shape: shape, slotType: .float16, tokens: 5000)
    }
    for size in sizes.dropFirst() { #expect(Double(size) < 1.09 * Double(sizes[0])) }
  }

  @Test(
    "a damaged summary is refused or harmless",
    arguments: ["clusters:9", "clusters:9[half-life=25]", "clusters:8[kind=paper,t=2]", "uniform:7"])
  func damaged(stage: String) throws {
    let plan = try KVCache.Plan("window:2,\(stage)")
    let melting = try #require(plan.stages.last as? any MeltingSpecification)
    let site = StateSite(headDim: 32, slotType: .float16)
    var random = SplitMix64(seed: 8)
    let make = { SummaryHead(try #require(melting.makeState(site) as? StageSummary)) }
    let source = try make()
    for _ in 0..<60 { source.melt(Token.random(dim: 32, using: &random)) }
    var writer = SectionWriter()
    source.summary.write(head: 0, to: &writer)
    let bytes = writer.bytes
    func isRefused(_ bytes: [UInt8], by head: SummaryHead<StageSummary>) -> Bool {
      bytes.withUnsafeBytes { raw in
        var reader = SectionReader(raw)
        do { try head.summary.read(head: 0, from: &reader) } catch { return true }
        return reader.remaining > 0
      }
    }
    #expect(!isRefused(bytes, by: try make()))
    for length in [0, 1, 7, 8, bytes.count / 2, bytes.count - 1] {
      #expect(isRefused(Array(bytes.prefix(length)), by: try make()))
    }
    var refused = 0
    for trial in 0..<3000 {
      var forged = bytes
      let start = trial < 400 ? trial % min(bytes.count, 200) : Int.random(in: 0..<bytes.count, using: &random)
      for place in start..<min(bytes.count, start + [1, 2, 4, 8][trial % 4]) {
        forged[place] = [0, 0xff, 0x7f, 0x80, UInt8.random(in: 0...255, using: &random)][trial / 4 % 5]
      }
      let head = try make()
      if isRefused(forged, by: head) {
        refused += 1
      } else {
        for _ in 0..<12 { head.melt(Token.random(dim: 32, using: &random)) }
        _ = head.attend([random.normals(32)])
      }
    }
    #expect(refused > 0)
  }
}
