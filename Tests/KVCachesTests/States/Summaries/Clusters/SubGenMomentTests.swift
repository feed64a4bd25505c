import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// What theory says of SubGen's estimators, over many seeds and against Float64.
@Suite("SubGen's moments")
struct SubGenMomentTests {
  /// A stream, a query, and what the estimators are to reach.
  struct Stream {
    let tokens: [Token]
    let query: [Float]
    let exact: ExactSums
    /// ‖V‖²_F
    let mass: Double
    /// |a|₂ of a = (e^⟨q,k⟩)
    let weightLength: Double

    init(count: Int, dim: Int = 4, queryLength: Float = 1, keyScale: Float = 1, seed: UInt64) {
      var random = SplitMix64(seed: seed)
      tokens = (0..<count).map { _ in Token.random(dim: dim, scale: keyScale, using: &random) }
      let direction = random.normals(dim)
      let factor = queryLength / Float(length(direction.map(Double.init)))
      query = direction.map { $0 * factor }
      exact = ExactSums(tokens, query: query)
      mass = tokens.reduce(0) { $0 + dot($1.value, $1.value) }
      weightLength = length(exact.weights)
    }

    /// E|z − N*|² with so many samples.
    func numeratorVariance(s: Int) -> Double {
      (mass * weightLength * weightLength - pow(length(exact.numerator), 2)) / Double(s)
    }

    /// Var τ with so many samples of each cluster.
    func denominatorVariance(t: Int, delta: Double) -> Double {
      SubGenTests.reference(tokens.map(\.key), delta: delta).reduce(0) { sum, members in
        let weights = members.map { exp(dot($0, query)) }
        let mean = weights.reduce(0, +) / Double(weights.count)
        let variance = weights.reduce(0) { $0 + pow($1 - mean, 2) } / Double(weights.count)
        return sum + Double(weights.count * weights.count) * variance / Double(t)
      }
    }

    /// ‖V‖²_op, by power iteration.
    var operatorNorm: Double {
      var x = [Double](repeating: 1, count: query.count)
      var eigenvalue = 0.0
      for _ in 0..<200 {
        var y = [Double](repeating: 0, count: x.count)
        for token in tokens {
          let product = zip(token.value, x).reduce(0) { $0 + Double($1.0) * $1.1 }
          for index in y.indices { y[index] += product * Double(token.value[index]) }
        }
        eigenvalue = length(y)
        x = y.map { $0 / eigenvalue }
      }
      return eigenvalue.squareRoot()
    }

    func answer(
      clusters: Int, t: Int, s: Int, delta: Double?, seed: UInt64, slotType: KVCache.SlotType = .float32
    ) -> SubGenTests.Head.Answer {
      let head = SubGenTests.head(
        clusters: clusters, t: t, s: s, delta: delta, seed: seed, headDim: query.count, slotType: slotType)
      tokens.forEach(head.melt)
      return head.attend(query)
    }
  }

  @Test("the samples of a cluster are uniform and independent")
  func reservoir() {
    let runs = 20_000
    var pairs = [Int](repeating: 0, count: 100)
    for seed in 0..<UInt64(runs) {
      let head = SubGenTests.head(clusters: 1, t: 2, s: 1, delta: 100, seed: seed, headDim: 2)
      for index in 0..<10 { head.melt(Token(key: [Float(index), 0], value: [0, 0])) }
      let samples = SubGenTests.clusters(head)[0].samples
      pairs[Int(samples[0][0]) * 10 + Int(samples[1][0])] += 1
    }
    let test = chiSquare(pairs, expected: pairs.map { _ in Double(runs) / 100 })
    #expect(test.value < rareChiSquare(degrees: test.degrees))
  }

  @Test("and still are when clusters have merged", arguments: [2, 3])
  func merged(t: Int) {
    // 0 and 1 merge when 50 comes, 50 and 50.5 join them when 200 comes: clusters of 2 and 1, and then of 4 and 2.
    let keys: [Float] = [0, 1, 50, 0.25, 0.75, 50.5, 200]
    let runs = 20_000
    var (pairs, singles) = ([Int](repeating: 0, count: 36), [Int](repeating: 0, count: 6))
    for seed in 0..<UInt64(runs) {
      let head = SubGenTests.head(clusters: 2, t: t, s: 1, seed: seed, headDim: 2)
      for key in keys { head.melt(Token(key: [key, 0], value: [0, 0])) }
      let clusters = SubGenTests.clusters(head)
      guard clusters.map(\.count) == [6, 1] else {
        Issue.record("clusters of \(clusters.map(\.count))")
        return
      }
      let drawn = clusters[0].samples.map { keys.firstIndex(of: $0[0])! }
      pairs[drawn[t - 2] * 6 + drawn[t - 1]] += 1
      singles[drawn[0]] += 1
    }
    for counts in [pairs, singles] {
      let test = chiSquare(counts, expected: counts.map { _ in Double(runs) / Double(counts.count) })
      #expect(test.value < rareChiSquare(degrees: test.degrees), "\(test.value) of \(test.degrees)")
    }
  }

  @Test("tokens are drawn by the squared lengths of their values, slots independently")
  func valueFrequencies() {
    let runs = 20_000
    var pairs = [Int](repeating: 0, count: 25)
    for seed in 0..<UInt64(runs) {
      let head = SubGenTests.head(clusters: 1, t: 1, s: 2, delta: 100, seed: seed, headDim: 2)
      for index in 0..<5 { head.melt(Token(key: [Float(index), 0], value: [Float(index + 1).squareRoot(), 0])) }
      let samples = head.summary.valueSamples(0)
      let drawn = (0..<2).map { slot -> Int in
        var key: [Float] = [0, 0]
        head.kernels.readKey(slot, of: samples.slots, to: &key)
        return Int(key[0])
      }
      pairs[drawn[0] * 5 + drawn[1]] += 1
    }
    let expected = (0..<25).map { Double(runs * ($0 / 5 + 1) * ($0 % 5 + 1)) / 225 }
    let test = chiSquare(pairs, expected: expected)
    #expect(test.value < rareChiSquare(degrees: test.degrees))
  }

  @Test("numerator and denominator are unbiased", arguments: [0.8, 2, nil] as [Double?])
  func unbiased(delta: Double?) {
    let stream = Stream(count: 50, seed: 11)
    let runs = 2000
    var (sums, squares) = ([Double](repeating: 0, count: 5), [Double](repeating: 0, count: 5))
    for seed in 0..<UInt64(runs) {
      let answer = stream.answer(clusters: delta == nil ? 9 : 50, t: 2, s: 6, delta: delta, seed: seed)
      for (index, value) in (answer.numerator + [answer.denominator]).enumerated() {
        sums[index] += value
        squares[index] += value * value
      }
    }
    for (index, expected) in (stream.exact.numerator + [stream.exact.denominator]).enumerated() {
      let mean = sums[index] / Double(runs)
      let standardError = ((squares[index] / Double(runs) - mean * mean) / Double(runs)).squareRoot()
      #expect(abs(mean - expected) <= 4 * standardError, "\(index): \(mean) instead of \(expected)")
      #expect(standardError < 0.1 * stream.exact.denominator)
    }
  }

  @Test(
    "and unbiased for what slots hold of keys and values", arguments: KVCache.SlotType.allCases,
    [4, nil] as [Double?])
  func unbiasedInSlots(slotType: KVCache.SlotType, delta: Double?) {
    let stream = Stream(count: 40, dim: 32, queryLength: 1.5, keyScale: 0.5, seed: 15)
    let exact = ExactSums(stream.tokens.map { Self.stored($0, slotType) }, query: stream.query)
    let runs = 1500
    var (sums, squares) = ([Double](repeating: 0, count: 33), [Double](repeating: 0, count: 33))
    for seed in 0..<UInt64(runs) {
      let answer = stream.answer(
        clusters: delta == nil ? 9 : 40, t: 2, s: 6, delta: delta, seed: seed, slotType: slotType)
      for (index, value) in (answer.numerator + [answer.denominator]).enumerated() {
        sums[index] += value
        squares[index] += value * value
      }
    }
    for (index, expected) in (exact.numerator + [exact.denominator]).enumerated() {
      let mean = sums[index] / Double(runs)
      let standardError = (max(0, squares[index] / Double(runs) - mean * mean) / Double(runs)).squareRoot()
      #expect(abs(mean - expected) <= 4 * standardError, "\(slotType), \(index): \(mean) instead of \(expected)")
      #expect(standardError < 0.1 * exact.denominator)
    }
  }

  /// A token as a slot gives it back.
  private static func stored(_ token: Token, _ slotType: KVCache.SlotType) -> Token {
    let (type, dim, kernels) = (slotType.elementType, token.key.count, InstructionSet.current)
    let keys = Buffer<UInt8>(count: SlotStorage.keyBytes(type: type, headDim: dim, slots: 16))
    let values = Buffer<UInt8>(count: SlotStorage.valueBytes(type: type, headDim: dim, slots: 16))
    let slots = SlotStorage(type: type, headDim: dim, slots: 16, keys: keys.pointer, values: values.pointer)
    var stored = token
    kernels.writeKey(token.key, to: 0, of: slots)
    kernels.writeValue(token.value, to: 0, of: slots)
    kernels.readKey(0, of: slots, to: &stored.key)
    kernels.readValue(0, of: slots, to: &stored.value)
    return stored
  }

  @Test("second moments are those of the theory")
  func secondMoments() {
    let stream = Stream(count: 40, seed: 12)
    let (runs, delta) = (5000, 1.6)
    var (numerator, denominator) = (0.0, 0.0)
    for seed in 0..<UInt64(runs) {
      let answer = stream.answer(clusters: 40, t: 3, s: 8, delta: delta, seed: seed)
      numerator += pow(length(zip(answer.numerator, stream.exact.numerator).map(-)), 2) / Double(runs)
      denominator += pow(answer.denominator - stream.exact.denominator, 2) / Double(runs)
    }
    #expect(abs(numerator / stream.numeratorVariance(s: 8) - 1) < 0.1)
    #expect(abs(denominator / stream.denominatorVariance(t: 3, delta: delta) - 1) < 0.1)
  }

  @Test("Chebyshev's bounds hold at the sizes that they ask for")
  func chebyshev() {
    let (epsilon, p, delta, queryLength) = (0.2, 0.1, 0.5, Float(1))
    let stream = Stream(count: 150, queryLength: queryLength, keyScale: 0.4, seed: 13)
    let norm = stream.operatorNorm
    let s = Int((stream.mass / (norm * norm) / (epsilon * epsilon * p)).rounded(.up))
    let t = Int((pow(sinh(delta * Double(queryLength)), 2) / (epsilon * epsilon * p)).rounded(.up))
    let runs = 300
    var (numerators, denominators, outputs) = (0, 0, 0)
    for seed in 0..<UInt64(runs) {
      let answer = stream.answer(clusters: 150, t: t, s: s, delta: delta, seed: seed)
      let error = length(zip(answer.numerator, stream.exact.numerator).map(-))
      if error > epsilon * stream.weightLength * norm { numerators += 1 }
      if abs(answer.denominator / stream.exact.denominator - 1) > epsilon { denominators += 1 }
      let outputError = length(zip(answer.output, stream.exact.output).map { Double($0) - $1 })
      let bound = 2 * epsilon / (1 - epsilon) * stream.weightLength / stream.exact.denominator * norm
      if outputError > bound { outputs += 1 }
    }
    let allowed = Int(Double(runs) * (p + 3 * (p * (1 - p) / Double(runs)).squareRoot()))
    #expect(numerators <= allowed && outputs <= 2 * allowed)
    #expect(denominators == 0)
  }

  @Test("errors fall with the square root of the samples")
  func slope() {
    let stream = Stream(count: 60, seed: 14)
    let points = [8, 32, 128, 512].map { s -> (x: Double, y: Double) in
      let runs = 400
      let sum = (0..<UInt64(runs)).reduce(0.0) { sum, seed in
        let answer = stream.answer(clusters: 1, t: 1, s: s, delta: 1e9, seed: seed)
        return sum + length(zip(answer.numerator, stream.exact.numerator).map(-))
      }
      return (log(Double(s)), log(sum / Double(runs)))
    }
    let meanX = points.reduce(0) { $0 + $1.x } / 4
    let meanY = points.reduce(0) { $0 + $1.y } / 4
    let slope =
      points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / points.reduce(0) { $0 + pow($1.x - meanX, 2) }
    #expect(abs(slope + 0.5) <= 0.1, "\(slope)")
  }
}
