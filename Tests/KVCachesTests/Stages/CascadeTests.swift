import Evaluation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// The tests that the cascade's specification names, on which token is where.
@Suite("Cascading cache")
struct CascadeTests {
  /// A cache of one head whose queries are all zero, so that attention is even: with gamma 1 an older token always has the
  /// higher score, with gamma 0 all scores are equal. Values carry the numbers of their tokens.
  private final class Stream {
    let cache: KVCache
    private let attention: LocalAttention
    private let shape: KVCache.Shape
    private var tokens: Int64 = 0

    init(_ plan: String, layers: Int = 1) throws {
      shape = KVCache.Shape(layers: layers, queryHeads: 1, keyValueHeads: 1, headDim: 16)
      attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 1), kernels: InstructionSet.current)
      cache = try KVCache(plan: try KVCache.Plan(plan), shape: shape, slotType: .float32, positions: .none)
    }

    /// Takes in one more token; its query points along the key of token `target`, if any is given.
    func next(key: Float = 0, query: Float = 0) {
      attention.beginStep(cache, rows: 1)
      let queries = [query] + [Float](repeating: 0, count: 15)
      let keys = [key] + [Float](repeating: 0, count: 15)
      let values = [Float(tokens)] + [Float](repeating: 0, count: 15)
      var output = [Float](repeating: 0, count: 16)
      for layer in 0..<shape.layers {
        attention.begin(layer: layer, queries: queries)
        attention.finish(layer: layer, keys: keys, values: values, output: &output)
      }
      tokens += 1
    }

    /// The tokens of each window, newest window first, oldest token first.
    var levels: [[Int]] {
      zip(cache.groups[0].ledger.stages, cache.groups[0].slots.places).compactMap { stage, place in
        guard let window = stage as? WindowStage else { return nil }
        let first = Int(window.entered) > window.size ? Int(window.entered) % window.size : 0
        return (0..<window.count).map { token(at: place.offset + (first + $0) % window.size) }
      }
    }

    private func token(at slot: Int) -> Int {
      var value = [Float](repeating: 0, count: 16)
      let slots = cache.groups[0].slots.storages[0].block(0).slots(head: 0, type: .float32, headDim: 16)
      InstructionSet.current.readValue(slot, of: slots, to: &value)
      return Int(value[0])
    }
  }

  /// Retained tokens after each token, as `level 2 | level 1 | level 0`, by hand (specification 15.1).
  @Test(
    "hand trace of three windows of two",
    arguments: [
      (
        "sinks=0,eager=off,gamma=0",
        [
          3: "|1|2 3", 5: "|1 3|4 5", 6: "1|3 4|5 6", 8: "1 3|5 6|7 8", 10: "1 5|7 8|9 10", 12: "5 7|9 10|11 12",
          15: "5 9|11 13|14 15", 16: "9 11|13 14|15 16",
        ]
      ),
      (
        "sinks=0,eager=off,select=off",
        [
          3: "|1|2 3", 5: "|1 3|4 5", 6: "1|3 4|5 6", 8: "1 3|5 6|7 8", 10: "1 5|7 8|9 10", 12: "5 7|9 10|11 12",
          15: "5 9|11 13|14 15", 16: "9 11|13 14|15 16",
        ]
      ),
      (
        "sinks=0,eager=off,gamma=1",
        [
          3: "|0|2 3", 5: "|0 2|4 5", 6: "0|2 4|5 6", 8: "0 2|4 6|7 8", 10: "0 2|6 8|9 10", 12: "2 6|8 10|11 12",
          15: "2 6|10 12|14 15", 16: "6 10|12 14|15 16",
        ]
      ),
      (
        "sinks=0,gamma=0",
        [
          5: "0 1|2 3|4 5", 6: "1 2|3 4|5 6", 7: "1 2|3 5|6 7", 10: "2 5|7 8|9 10", 12: "5 7|9 10|11 12",
          15: "5 9|11 13|14 15", 16: "9 11|13 14|15 16",
        ]
      ),
    ])
  func handTrace(options: String, expected: [Int: String]) throws {
    let stream = try Stream("cascading:6/3[\(options)]")
    for token in 0...16 {
      stream.next()
      guard let expected = expected[token] else { continue }
      let held = stream.levels.reversed().map { $0.map(String.init).joined(separator: " ") }.joined(separator: "|")
      #expect(held == expected, "after token \(token), \(options)")
    }
  }

  /// I1, I2 and I3, and T9: for every small cascade, at every token.
  @Test("kept in order of time, filled level by level, over the expected span", arguments: 1...5, [1, 2, 3, 5])
  func invariants(levels: Int, size: Int) throws {
    for options in ["sinks=0,gamma=1", "sinks=2,gamma=0", "sinks=1,eager=off,gamma=1", "sinks=3,select=off"] {
      let sinks = Int(options.split(separator: ",")[0].dropFirst(6)) ?? 0
      let stream = try Stream("cascading:\(sinks + levels * size)/\(levels)[\(options)]")
      let bytes = stream.cache.bytes
      let span = size * ((1 << levels) - 1)
      var counts = [Int](repeating: 0, count: levels)
      for token in 0..<sinks + 6 * span + 20 {
        stream.next()
        let held = stream.levels
        let all = held.reversed().flatMap { $0 }
        #expect(zip(all, all.dropFirst()).allSatisfy { $0 < $1 }, "I1 after \(token), \(options)")
        for level in 1..<max(levels, 1) where !held[level].isEmpty {
          #expect(held[level - 1].count == size, "I2 after \(token), \(options)")
        }
        #expect(zip(held, counts).allSatisfy { $0.count >= $1 }, "I2 after \(token), \(options)")
        counts = held.map(\.count)
        #expect(stream.cache.bytes == bytes)
        guard token > sinks + 4 * span, let oldest = all.first, let newest = all.last else { continue }
        #expect(
          (span - (1 << levels)...span + 1).contains(newest - oldest + 1), "I3 after \(token), \(options): \(held)")
      }
    }
  }

  /// I4: keys written for a token, on average; the bound is 1 + Σ 2^-(i−1) < 3.
  @Test("fewer than three keys are written for a token", arguments: [1, 4, 8])
  func writes(levels: Int) throws {
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 16)
    let cache = try KVCache(
      plan: try KVCache.Plan("cascading:\(4 + 8 * levels)/\(levels)"), shape: shape, positions: .none)
    cache.fill(tokens: 4096, kernels: InstructionSet.current)
    var written = 0
    for _ in 0..<1 << levels + 3 {
      cache.beginStep(tokens: 1)
      written += cache.groups[0].ledger.step.placements.count
    }
    let average = Double(written) / Double(1 << levels + 3)
    #expect(levels == 1 ? average == 1 : average < 3, "\(average)")
  }

  /// T10: a token that every query looks at survives to the end of the span.
  @Test("a needle stays for the whole span")
  func needle() throws {
    let (levels, size) = (4, 8)
    let stream = try Stream("cascading:\(levels * size)/\(levels)[sinks=0]")
    let span = size * ((1 << levels) - 1)
    for _ in 0..<200 { stream.next(query: 1) }
    stream.next(key: 40, query: 1)
    for age in 1..<span - 2 * (1 << levels) {
      stream.next(query: 1)
      #expect(stream.levels.contains { $0.contains(200) }, "lost at age \(age)")
    }
    for _ in 0..<4 * (1 << levels) { stream.next(query: 1) }
    #expect(!stream.levels.contains { $0.contains(200) }, "a cascade forgets in the end")
  }

  /// Level i has room for one of 2^i neighbours whatever their scores: why no head keeps a whole pass key for long.
  @Test("of five equal high scores in a row at most 3, 2 and 1 stay at levels 1, 2 and 3, one more across a border")
  func neighbours() throws {
    let (levels, size) = (4, 8)
    let span = size * ((1 << levels) - 1)
    // The most that stand at a level while all that are left stand there, for each place of the first of the five.
    var left = [[Int]](repeating: [Int](repeating: 0, count: levels), count: 1 << levels)
    for offset in left.indices {
      let stream = try Stream("cascading:\(levels * size)/\(levels)[sinks=0,eager=off]")
      let first = 2 * span + offset
      let needle = first..<first + 5
      for _ in 0..<first { stream.next(query: 1) }
      for _ in needle { stream.next(key: 40, query: 1) }
      for age in 0..<span {
        let held = stream.levels
        if age == 0 { #expect(held[0].suffix(5) == Array(needle)[...], "the first level holds all of them") }
        let counts = held.map { $0.count(where: needle.contains) }
        for level in 1..<levels {
          let fits = (4 + (1 << level)) / (1 << level)
          #expect(counts[level...].reduce(0, +) <= fits + 1, "offset \(offset), age \(age), level \(level): \(held)")
        }
        if let level = counts.firstIndex(of: counts.reduce(0, +)) {
          left[offset][level] = max(left[offset][level], counts[level])
        }
        stream.next(query: 1)
      }
    }
    for (level, counts) in [(1, [3]), (2, [2]), (3, [1, 2])] {
      #expect(Set(left.map { $0[level] }) == Set(counts), "level \(level)")
    }
  }

  /// T8.
  @Test(
    "schedules, as periods",
    arguments: [
      ("pow2", [1, 2, 4, 8]), ("pow3", [1, 3, 9, 27]), ("pow4", [1, 4, 16, 64]), ("linear", [1, 2, 3, 4]),
      ("twos", [1, 2, 2, 2]), ("quarter", [1, 2, 4, 8]), ("half", [1, 1, 4, 8]), ("three-quarters", [1, 1, 1, 8]),
      ("last", [1, 1, 1, 8]),
    ])
  func schedules(name: String, periods: [Int]) throws {
    let plan = try KVCache.Plan("cascading:44/4[schedule=\(name)]")
    #expect(plan.stages.compactMap { ($0 as? Window)?.period } == periods)
    #expect(plan == (try KVCache.Plan(plan.description)))
  }

  /// The first level gets what the division leaves over.
  @Test("a budget is as many slots, whatever the levels", arguments: [64, 100, 256, 1023])
  func budget(slots: Int) throws {
    for levels in 1...60 {
      let plan = try KVCache.Plan("cascading:\(slots)/\(levels)")
      #expect(plan.capacity == slots, "\(levels) levels")
      let sizes = plan.stages.compactMap { ($0 as? Window)?.size }
      #expect(sizes.count == levels && Set(sizes.dropFirst()).count <= 1 && sizes[0] - (slots - 4) / levels < levels)
    }
  }

  @Test("a deep cascade's periods can be written down")
  func deepCascade() throws {
    for schedule in CascadeSchedule.allCases {
      let plan = try KVCache.Plan("cascading:68/64[schedule=\(schedule.rawValue)]")
      #expect(plan == (try KVCache.Plan(plan.description)))
    }
  }

  /// T4 of the specification, the closed form of a chunk's scores against single steps over the same probabilities.
  @Test("a score after a chunk equals single steps", arguments: [0, 0.5, 0.9999, 1.0])
  func decay(decay: Double) {
    let rule = ScoreRule(decay: decay)
    var random = SplitMix64(seed: 5)
    for count in [1, 2, 7, 64] {
      let gains = random.normals(count).map { Double(abs($0)) }
      var single = 3.0
      for gain in gains { single = single * decay + gain }
      var weight = 1.0, sum = 0.0
      for gain in gains.reversed() {
        sum += weight * gain
        weight *= decay
      }
      #expect(abs(3 * Double(rule.factor(after: count)) + sum - single) < 1e-5 * single)
    }
  }
}
