import Foundation
import Kernels
import TestSupport
import Testing

/// GELU in both forms, LayerNorm and soft caps against Float64, with every instruction set.
@Suite struct ActivationTests {
  private static func geluTanh(_ x: Double) -> Double {
    // 1 + tanh(y) without the cancellation that it has for negative y.
    x / (1 + exp(-2 * (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
  }

  private static func geluErf(_ x: Double) -> Double { x * erfc(-x / 2.0.squareRoot()) / 2 }

  private static let forms: [(Activation, @Sendable (Double) -> Double)] = [
    (.geluTanh, { geluTanh($0) }), (.geluErf, { geluErf($0) }),
  ]

  /// Small values are as exact as large ones; far below zero an exponent's rounding grows with the exponent.
  @Test(arguments: InstructionSet.available)
  func geluIsAccurateEverywhere(instructions: InstructionSet) {
    let gate = (-12_000...12_000).map { Float($0) / 1000 } + [1e-30, -1e-30, 1e-4, -1e-4]
    for (activation, reference) in Self.forms {
      var out = [Float](repeating: .nan, count: gate.count)
      instructions.activate(activation, gate: gate, up: nil, out: &out, count: gate.count)
      for (x, y) in zip(gate, out) {
        let expected = reference(Double(x))
        let exponent = x < 0 ? Double(x * x) : 0
        let allowed = abs(expected) * (6e-7 + 3e-7 * exponent) + 1e-37
        if !(abs(Double(y) - expected) <= allowed) { Issue.record("\(activation) of \(x) is \(y), not \(expected)") }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func geluHandlesExtremesAndTails(instructions: InstructionSet) {
    let gate: [Float] = [0, -0.0, 1e30, -1e30, .infinity, .leastNonzeroMagnitude, -1000, 1000, .nan]
    for (activation, reference) in Self.forms {
      var out = [Float](repeating: .nan, count: gate.count)
      instructions.activate(
        activation, gate: gate, up: [Float](repeating: 2, count: gate.count), out: &out, count: gate.count)
      #expect(out[0] == 0 && out[1] == 0 && out[2] == 2e30 && out[4] == .infinity && out[7] == 2000 && out[8].isNaN)
      for index in [3, 6] { #expect(out[index] <= 0 && out[index] > -1e-5) }
      for size in 1...40 {
        var x = (0...size).map { Float($0) / 4 - 5 }
        let untouched = x[size]
        let expected = x[..<size].map { Float(3 * reference(Double($0))) }
        let up = [Float](repeating: 3, count: size)
        x.withUnsafeMutableBufferPointer {
          instructions.activate(activation, gate: $0.baseAddress!, up: up, out: $0.baseAddress!, count: size)
        }
        #expect(largestDifference(Array(x[..<size]), expected) < 3e-6, "in place, \(size) values")
        #expect(x[size] == untouched, "nothing is written past the end")
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func layerNormMatchesFloat64(instructions: InstructionSet) {
    var random = SplitMix64(seed: 31)
    for size in ElementwiseTests.sizes {
      for (magnitude, offset) in [(Float(1e-6), Float(0)), (1, 0), (1, 30), (1e15, -1e15)] {
        let x = random.normals(size, scale: magnitude).map { $0 + offset }
        let (weight, bias) = (random.normals(size), random.normals(size))
        let mean = x.reduce(0.0) { $0 + Double($1) } / Double(size)
        let variance = x.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(size)
        let inverse = 1 / (variance + 1e-5).squareRoot()
        for bias in [bias, nil] {
          let expected = x.indices.map {
            Float((Double(x[$0]) - mean) * inverse * Double(weight[$0]) + Double(bias?[$0] ?? 0))
          }
          var out = [Float](repeating: .nan, count: size + 1)
          if let bias {
            instructions.layerNorm(x, weight: weight, bias: bias, out: &out, count: size, epsilon: 1e-5)
          } else {
            instructions.layerNorm(x, weight: weight, bias: nil, out: &out, count: size, epsilon: 1e-5)
          }
          #expect(out[size].isNaN)
          // Values far from zero have lost digits before they came here.
          let error = largestDifference(Array(out[..<size]), expected)
          #expect(error < 1e-5 * max(1, abs(offset / magnitude)), "\(size) values of \(magnitude) about \(offset)")
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func softCapBounds(instructions: InstructionSet) {
    for size in 0...40 {
      var x = (0...size).map { (Float($0) - 20) * 4 }
      let expected = x[..<size].map { Float(30 * tanh(Double($0) / 30)) }
      let untouched = x[size]
      instructions.softCap(&x, cap: 30, count: size)
      #expect(largestDifference(Array(x[..<size]), expected) < 1e-5)
      #expect(x[size] == untouched)
    }
    var extremes: [Float] = [.infinity, -.infinity, 1e30, -1e30]
    instructions.softCap(&extremes, cap: 50, count: 4)
    #expect(extremes == [50, -50, 50, -50])
  }
}
