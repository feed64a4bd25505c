import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Samples in which tokens count ever less with age, one head by hand.
@Suite("Samples that fade")
struct FadingSampleTests {
  static func uniform(_ capacity: Int, halfLife: Int, seed: UInt64 = 0) -> SummaryHead<FadingSampleSummary> {
    SummaryHead(
      FadingSampleSummary(
        capacity: capacity, halfLife: halfLife, seed: seed, shape: .single(headDim: 2), slotType: .float32))
  }

  static func balanced(_ capacity: Int, halfLife: Int, seed: UInt64 = 0) -> SummaryHead<BalancedSummary> {
    SummaryHead(
      BalancedSummary(
        capacity: capacity, halfLife: halfLife, seed: seed, shape: .single(headDim: 2), slotType: .float32))
  }

  /// What each token stands for, 0 where it is not held; tokens are their index.
  static func weights(_ head: SummaryHead<FadingSampleSummary>, count: Int) -> [Double] {
    let sample = head.summary.sample(0)
    return weights(sample.slots, used: sample.used, count: count, head.kernels) {
      Double(sample.weights[$0] / sample.unit.pointee)
    }
  }

  static func weights(_ head: SummaryHead<BalancedSummary>, count: Int) -> [Double] {
    let tokens = head.summary.tokens(0)
    return weights(tokens.slots, used: tokens.used, count: count, head.kernels) { exp2(Double(tokens.levels[$0])) }
  }

  private static func weights(
    _ slots: SlotStorage, used: Int, count: Int, _ kernels: InstructionSet, _ weight: (Int) -> Double
  ) -> [Double] {
    var result = [Double](repeating: 0, count: count)
    for slot in 0..<used {
      var key: [Float] = [0, 0]
      kernels.readKey(slot, of: slots, to: &key)
      result[Int(key[0])] += weight(slot)
    }
    return result
  }

  private static func token(_ index: Int) -> Token { Token(key: [Float(index), 0], value: [1, Float(index)]) }

  @Test("weights sum to what is left of the stream", arguments: [1, 2, 3, 17, 64], [1, 7, 40, 1000])
  func total(capacity: Int, halfLife: Int) {
    let head = Self.uniform(capacity, halfLife: halfLife)
    let fade = exp2(-1 / Double(halfLife))
    var left = 0.0
    for index in 0..<500 {
      head.melt(Self.token(index))
      left = (left + 1) * fade
      let weights = Self.weights(head, count: 500)
      #expect(weights.count { $0 > 0 } == min(index + 1, capacity))
      #expect(abs(weights.reduce(0, +) / left - 1) < 1e-4, "token \(index)")
    }
    let answer = head.attend([0, 0])
    #expect(abs(answer.denominator / left - 1) < 1e-4)
  }

  @Test("the expected weight of every token is its own", arguments: [1, 3, 8, 50])
  func unbiased(halfLife: Int) {
    let (count, runs) = (24, 20_000)
    var sums = [Double](repeating: 0, count: count)
    var squares = sums
    for seed in 0..<UInt64(runs) {
      let head = Self.uniform(5, halfLife: halfLife, seed: seed)
      for index in 0..<count { head.melt(Self.token(index)) }
      for (index, weight) in Self.weights(head, count: count).enumerated() {
        sums[index] += weight
        squares[index] += weight * weight
      }
    }
    for index in 0..<count {
      let (mean, expected) = (sums[index] / Double(runs), exp2(Double(index - count) / Double(halfLife)))
      let error = (max(0, squares[index] / Double(runs) - mean * mean) / Double(runs)).squareRoot()
      // Below one token in a thousand no run may hold it.
      #expect(abs(mean - expected) <= 4.5 * error + 1e-3 * max(expected, 0.01), "token \(index)")
    }
  }

  @Test("a long half-life makes all weights the same, a short one keeps the newest tokens as they are")
  func regimes() {
    let long = Self.uniform(20, halfLife: 40)
    let short = Self.uniform(20, halfLife: 4)
    for index in 0..<600 {
      long.melt(Self.token(index))
      short.melt(Self.token(index))
    }
    let weights = Self.weights(long, count: 600).filter { $0 > 0 }
    #expect(weights.max()! - weights.min()! < 1e-5)
    // All but the tail, whose 5.3 tokens' worth of slots hold what is left of the mass of 5.3.
    let newest = Self.weights(short, count: 600).suffix(14)
    for (age, weight) in newest.reversed().enumerated() {
      #expect(abs(weight - exp2(-Double(age + 1) / 4)) < 1e-4, "\(age)")
    }
  }

  @Test("counts of balanced tokens halve at once and stay unbiased", arguments: [6, 10, 25])
  func balanced(halfLife: Int) {
    let (count, runs) = (60, 8000)
    var sums = [Double](repeating: 0, count: count)
    var squares = sums
    for seed in 0..<UInt64(runs) {
      let head = Self.balanced(8, halfLife: halfLife, seed: seed)
      for index in 0..<count {
        head.melt(Self.token(index))
        #expect(head.summary.tokens(0).used <= 8)
      }
      for (index, weight) in Self.weights(head, count: count).enumerated() {
        sums[index] += weight
        squares[index] += weight * weight
      }
    }
    for index in 0..<count {
      let halvings = count / halfLife - index / halfLife
      let (mean, expected) = (sums[index] / Double(runs), exp2(-Double(halvings)))
      let error = (max(0, squares[index] / Double(runs) - mean * mean) / Double(runs)).squareRoot()
      #expect(abs(mean - expected) <= 4.5 * error + 1e-3, "token \(index): \(mean) instead of \(expected)")
    }
  }

  @Test("balanced counts stay bounded in a stream without end")
  func bounded() {
    var random = SplitMix64(seed: 5)
    let head = Self.balanced(64, halfLife: 64)
    for step in 1...5000 {
      head.melt(Token.random(dim: 2, using: &random))
      let tokens = head.summary.tokens(0)
      let weight = (0..<tokens.used).reduce(0.0) { $0 + exp2(Double(tokens.levels[$1])) }
      #expect(weight <= 132, "token \(step)")
      if step > 640 { #expect(weight >= 60 && tokens.used >= 16) }
    }
  }
}
