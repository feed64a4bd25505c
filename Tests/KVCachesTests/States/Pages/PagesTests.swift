import CacheTestSupport
import Evaluation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

@Suite("Reading only some pages")
struct PagesTests {
  /// A cache of pages, driven by a sequence whose pages differ in size of keys, so that rounding chooses no others.
  struct Subject: Sendable, CustomStringConvertible {
    var budget = 48
    var page = 16
    var denseLayers = 1
    var group = 1
    var headDim = 64
    var layout = RotaryLayout.halves
    var usesLinearBias = false
    var slotType = KVCache.SlotType.float32
    var sinkLogits: [Float]?
    var tokens = 100
    /// Tokens that come in chunks before the others come one by one.
    var prompt = 0

    var plan: String { "pages:\(budget)[page=\(page),dense-layers=\(denseLayers)]" }
    var description: String {
      "\(plan), group \(group), dim \(headDim) \(layout), \(slotType.rawValue), \(prompt) of \(tokens) tokens at once"
        + (usesLinearBias ? ", ALiBi" : "") + (sinkLogits == nil ? "" : ", sink logits")
    }

    private var cacheCase: CacheCase {
      CacheCase(plan: plan, group: group, headDim: headDim, layout: layout, usesLinearBias: usesLinearBias)
    }
    var shape: KVCache.Shape { cacheCase.shape }

    private var layers: [AttentionLayer] {
      var layers = shape.layers(positions: cacheCase.positions)
      for layer in layers.indices { layers[layer].sinkLogits = sinkLogits }
      return layers
    }

    var sequence: TokenSequence {
      var sequence = TokenSequence(shape: shape, positions: cacheCase.positions, count: tokens, seed: 91)
      var random = SplitMix64(seed: UInt64(tokens))
      let pages = (tokens + page - 1) / page
      for layer in 0..<shape.layers {
        for head in 0..<shape.keyValueHeads {
          let ranks = (0..<pages).shuffled(using: &random)
          for token in 0..<tokens {
            var factor: Float = 0.25
            for _ in 0..<ranks[token / page] { factor *= 1.35 }
            sequence.scaleKey(layer: layer, token: token, head: head, by: factor)
          }
        }
      }
      sequence.sinkLogits = sinkLogits.map { logits in (0..<shape.layers).map { _ in logits } }
      return sequence
    }

    func makeCache() throws -> KVCache {
      try KVCache(plan: KVCache.Plan(plan), layers: layers, slotType: slotType)
    }

    func attention(threads: Int, _ kernels: InstructionSet = .current) throws -> LocalAttention {
      LocalAttention(layers: layers, team: try WorkerTeam(threads: threads), kernels: kernels)
    }

    func check(threads: [Int] = [1], instructions: [InstructionSet] = [.current]) throws {
      let sequence = sequence
      let reference = ReferencePages(sequence, budget: budget, page: page, denseLayers: denseLayers)
      let expected = (0..<shape.layers).map { layer in
        (prompt..<tokens).flatMap { token in
          let (output, gap) = reference.output(layer: layer, token: token)
          #expect(gap > 2e-3, "\(self): the test's pages are too close at token \(token)")
          return output
        }
      }
      for (threads, kernels) in threads.flatMap({ threads in instructions.map { (threads, $0) } }) {
        let (cache, attention) = (try makeCache(), try attention(threads: threads, kernels))
        _ = attention.run(cache, sequence, tokens: 0..<prompt, chunking: .sizes([2, 37]))
        let outputs = attention.run(cache, sequence, tokens: prompt..<tokens, chunking: .ones)
        let (error, place) = shape.largestError(outputs, expected)
        #expect(error <= CacheCase.tolerance(slotType), "\(self), \(threads) threads, \(kernels): \(place), \(error)")
      }
    }
  }

  @Test("equals a choice by the bounds of raw keys in Float64, alone and in teams", arguments: [1, 3, 8])
  func chosenPages(group: Int) throws {
    for budget in [32, 48, 64] {
      try Subject(budget: budget, group: group).check(threads: [1, 2, 5])
    }
    try Subject(denseLayers: 0, group: group, layout: .interleaved).check()
  }

  @Test("on every instruction set", arguments: InstructionSet.available)
  func instructionSets(instructions: InstructionSet) throws {
    try Subject(group: 3).check(instructions: [instructions])
  }

  @Test("with every slot type", arguments: KVCache.SlotType.allCases)
  func slotTypes(slotType: KVCache.SlotType) throws {
    try Subject(budget: 64, group: 3, slotType: slotType).check()
  }

  @Test("with ALiBi the bound knows the nearest key of a page, with sink logits it does not mind")
  func linearBias() throws {
    try Subject(group: 1, usesLinearBias: true).check(threads: [1, 3])
    try Subject(group: 3, sinkLogits: [-1, 0, 2, 0.5, -.infinity, 1]).check(threads: [1, 3])
  }

  @Test("pages of other sizes, over more than one block, after a prompt in chunks", arguments: [128, 256, 1024])
  func largePages(page: Int) throws {
    try Subject(
      budget: 2 * page + (page < 1024 ? page : 0), page: page, headDim: 32, tokens: page < 1024 ? 1100 : 3100,
      prompt: page < 1024 ? 1085 : 3085
    ).check(threads: [1, 2])
  }

  @Test("a cache that holds no more than the budget, and every chunk, is that of all tokens, bit for bit")
  func withinBudget() throws {
    for threads in [1, 3] {
      let subject = Subject(budget: 96, denseLayers: 0, group: 3, tokens: 140)
      let attention = try subject.attention(threads: threads)
      let full = try KVCache(
        plan: .full, shape: subject.shape, slotType: .float32, positions: CacheCase(plan: "full", headDim: 64).positions
      )
      let cache = try subject.makeCache()
      let sequence = subject.sequence
      for chunking in [Chunking.ones, .sizes([2, 19])] {
        let tokens = chunking.sizes(2) == [1, 1] ? 0..<97 : 97..<140
        #expect(
          attention.run(cache, sequence, tokens: tokens, chunking: chunking)
            == attention.run(full, sequence, tokens: tokens, chunking: chunking))
      }
      let (alone, all) = (
        attention.step(cache, sequence, tokens: 139..<140), attention.step(full, sequence, tokens: 139..<140)
      )
      #expect(alone != all, "past the budget a token that comes alone reads less")
    }
  }

  @Test("chooses the highest bounds, older pages first where they are equal")
  func ties() throws {
    let subject = Subject(budget: 64, denseLayers: 0, tokens: 161)
    var sequence = subject.sequence
    for layer in 0..<2 {
      for token in 0..<161 {
        for head in 0..<2 { sequence.scaleKey(layer: layer, token: token, head: head, by: 0) }
      }
    }
    let (cache, attention) = (try subject.makeCache(), try subject.attention(threads: 1))
    let outputs = attention.run(cache, sequence, tokens: 0..<161, chunking: .ones)
    // All logits are 0: the mean of the values of pages 0, 1, 2 and 9, and the token's own.
    let read = Array(0..<48) + Array(144..<160) + [160]
    for head in 0..<2 {
      for dim in 0..<64 {
        let values = read.map { Array(sequence.value(layer: 1, token: $0, head: head))[dim] }
        #expect(abs(outputs[1][160 * 128 + head * 64 + dim] - values.reduce(0, +) / 65) < 1e-5)
      }
    }
  }

  @Test("bounds are the same after a snapshot, and after filling, as after feeding")
  func boundsFollowFromKeys() throws {
    for slotType in KVCache.SlotType.allCases {
      let subject = Subject(budget: 32, group: 3, slotType: slotType, tokens: 90)
      let (attention, sequence) = (try subject.attention(threads: 1), subject.sequence)
      let (fed, taken) = (try subject.makeCache(), try subject.makeCache())
      _ = attention.run(fed, sequence, tokens: 0..<90, chunking: .sizes([41, 1]))
      _ = attention.run(taken, sequence, tokens: 0..<70, chunking: .sizes([9]))
      taken.reset()
      try taken.restore(fed.snapshot())
      let bounds = { (cache: KVCache) -> [[UInt16]] in
        let group = cache.groups[0]
        let state = try #require(group.state(PageState.self))
        return (0..<2).map { head in
          let base = state.block(0).bounds(place: group.heads.place(layer: 1, head: head))
          // The pages that hold tokens.
          return (0..<128).flatMap { row in (0..<6).map { base[row * 16 + $0] } }
        }
      }
      #expect(try bounds(fed) == bounds(taken))
      let before = try bounds(fed)
      try #require(fed.groups[0].state(PageState.self)).boundStored(fed.groups[0], .current)
      #expect(try bounds(fed) == before)
      taken.reset()
      taken.fill(tokens: 90, kernels: .current)
      #expect(try bounds(taken) != before)
      #expect(try bounds(taken).allSatisfy { $0.allSatisfy { Float16(bitPattern: $0) != 0 } }, "\(slotType)")
    }
  }

  @Test("bounds take the bytes that the plan states")
  func bytes() throws {
    let shape = KVCache.Shape(layers: 5, queryHeads: 6, keyValueHeads: 2, headDim: 64)
    for (plan, panels) in [("pages:64", 4), ("pages:64[page=32]", 2), ("pages:4096[page=1024]", 1)] {
      let bytes = { (plan: String) in
        KVCache.bytes(plan: try KVCache.Plan(plan), shape: shape, slotType: .float16, tokens: 1025)
      }
      #expect(try bytes(plan) - bytes("full") == 2 * 3 * 2 * panels * 64 * 2 * 16 * 2)
    }
  }
}
