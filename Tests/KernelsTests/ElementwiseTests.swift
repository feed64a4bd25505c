import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct ElementwiseTests {
  static let sizes = [1, 2, 15, 16, 17, 31, 33, 64, 65, 100, 576, 1023, 1024, 1025, 4099]

  @Test(arguments: InstructionSet.available)
  func rmsNormMatchesFloat64(instructions: InstructionSet) {
    var random = SplitMix64(seed: 21)
    for size in Self.sizes {
      for magnitude in [Float(1e-12), 1, 1e17] {
        let x = random.normals(size, scale: magnitude)
        let weight = random.normals(size)
        for weight in [weight, nil] {
          let squares = x.reduce(0.0) { $0 + Double($1) * Double($1) }
          let inverse = 1 / (squares / Double(size) + 1e-5).squareRoot()
          let expected = x.indices.map { Float(Double(x[$0]) * inverse * Double(weight?[$0] ?? 1)) }
          var out = [Float](repeating: .nan, count: size)
          if let weight {
            instructions.rmsNorm(x, weight: weight, out: &out, count: size, epsilon: 1e-5)
          } else {
            instructions.rmsNorm(x, weight: nil, out: &out, count: size, epsilon: 1e-5)
          }
          #expect(relativeError(out, expected) < 1e-6, "\(size) values of \(magnitude)")
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func normOfZerosIsZero(instructions: InstructionSet) {
    var out = [Float](repeating: .nan, count: 40)
    instructions.rmsNorm([Float](repeating: 0, count: 40), weight: nil, out: &out, count: 40, epsilon: 1e-5)
    #expect(out.allSatisfy { $0 == 0 })
  }

  /// SiLU shares its exponential with softmax and attention: every value within a few ulp of Float64.
  @Test(arguments: InstructionSet.available)
  func siluIsAccurateEverywhere(instructions: InstructionSet) {
    let gate = (-87_000...87_000).map { Float($0) / 1000 }
    var out = [Float](repeating: 0, count: gate.count)
    instructions.activate(
      .silu, gate: gate, up: [Float](repeating: 1, count: gate.count), out: &out, count: gate.count)
    var worst = 0.0
    for (x, y) in zip(gate, out) where x != 0 {
      let expected = Double(x) / (1 + exp(-Double(x)))
      worst = max(worst, abs(Double(y) - expected) / abs(expected))
    }
    #expect(worst < 4e-7)
  }

  @Test(arguments: InstructionSet.available)
  func siluHandlesExtremesAndTails(instructions: InstructionSet) {
    let gate: [Float] = [
      0, -0.0, 1e30, -1e30, .infinity, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, 88, -88, -1000, 1000,
    ]
    var out = [Float](repeating: .nan, count: gate.count + 1)
    instructions.activate(
      .silu, gate: gate, up: [Float](repeating: 2, count: gate.count), out: &out, count: gate.count)
    #expect(out[0] == 0 && out[1] == 0 && out[2] == 2e30 && out[4] == .infinity && out[10] == 2000)
    for index in [3, 8, 9] { #expect(out[index] <= 0 && out[index] > -1e-5) }
    #expect(out[gate.count].isNaN, "nothing is written past the end")
    for size in 1...40 {
      var x = (0..<size).map { Float($0) - 20 }
      let expected = x.map { Float(3 * Double($0) / (1 + exp(-Double($0)))) }
      let up = [Float](repeating: 3, count: size)
      x.withUnsafeMutableBufferPointer {
        instructions.activate(.silu, gate: $0.baseAddress!, up: up, out: $0.baseAddress!, count: size)
      }
      #expect(relativeError(x, expected) < 1e-6, "in place, \(size) values")
    }
  }

  @Test(arguments: InstructionSet.available)
  func addAndScaleTouchExactlyTheirValues(instructions: InstructionSet) {
    for size in 0...50 {
      var x = (0...size).map { Float($0) }
      instructions.add((0...size).map { Float(2 * $0) }, to: &x, count: size)
      #expect(x == (0...size).map { Float($0 == size ? $0 : 3 * $0) })
      instructions.scale(&x, by: -2, count: size)
      #expect(x == (0...size).map { Float($0 == size ? $0 : -6 * $0) })
    }
  }

  @Test(arguments: InstructionSet.available)
  func softmaxAndLogSumExpMatchFloat64(instructions: InstructionSet) {
    var random = SplitMix64(seed: 22)
    for size in Self.sizes {
      for scale in [Float(0), 1, 30, 1000] {
        let x = random.normals(size, scale: scale)
        let largest = Double(x.max()!)
        let sum = x.reduce(0.0) { $0 + exp(Double($1) - largest) }
        let logSumExp = largest + log(sum)
        var y = x
        let returned = instructions.softmax(&y, count: size)
        #expect(abs(Double(returned) - logSumExp) <= 2e-7 * max(1, abs(logSumExp)) + 2e-7, "\(size) \(scale)")
        #expect(instructions.logSumExp(x, count: size) == returned)
        for index in x.indices {
          // The difference to the maximum is rounded to a float before it is exponentiated.
          let difference = largest - Double(x[index])
          let expected = exp(-difference) / sum
          let allowed = (4e-7 + difference * 0x1p-24) * expected + 2e-38
          #expect(abs(Double(y[index]) - expected) <= allowed, "\(size) \(scale)")
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func softmaxOfExtremes(instructions: InstructionSet) {
    let huge = Float.greatestFiniteMagnitude
    let cases: [([Float], [Float], Float)] = [
      ([], [], -.infinity),
      ([-.infinity], [0], -.infinity),
      ([Float](repeating: -.infinity, count: 20), [Float](repeating: 0, count: 20), -.infinity),
      ([huge, -huge], [1, 0], huge),
      ([huge, huge], [0.5, 0.5], huge),
      ([-huge, -huge, -.infinity, -huge, -huge], [0.25, 0.25, 0, 0.25, 0.25], -huge),
      ([-.infinity, 5], [0, 1], 5),
      ([0, -0.0], [0.5, 0.5], Float(log(2.0))),
      ([.leastNonzeroMagnitude, 0], [0.5, 0.5], Float(log(2.0))),
    ]
    for (x, expected, logSumExp) in cases {
      var y = x
      #expect(instructions.softmax(&y, count: x.count) == logSumExp, "\(x)")
      #expect(y == expected, "\(x)")
      #expect(instructions.logSumExp(x, count: x.count) == logSumExp, "\(x)")
    }
  }

  @Test(arguments: InstructionSet.available)
  func rotationTurnsPairsAndCopiesTheRest(instructions: InstructionSet) {
    var random = SplitMix64(seed: 23)
    for (headDim, rotaryDim) in [
      (8, 8), (8, 0), (64, 64), (64, 32), (80, 20), (96, 96), (128, 128), (256, 64), (48, 34),
    ] {
      for layout in [RotaryLayout.halves, .interleaved] {
        let stride = headDim + 3
        let x = random.normals(3 * stride)
        let angles = (0..<rotaryDim / 2).map { _ in Double(random.normal()) * 10 }
        let cosine = angles.map { Float(cos($0)) }
        let sine = angles.map { Float(sin($0)) }
        var expected = [Float](repeating: 7, count: x.count)
        for head in 0..<3 {
          for index in 0..<headDim { expected[head * stride + index] = x[head * stride + index] }
          for pair in 0..<rotaryDim / 2 {
            let first = head * stride + (layout == .halves ? pair : 2 * pair)
            let second = layout == .halves ? first + rotaryDim / 2 : first + 1
            let (a, b) = (Double(x[first]), Double(x[second]))
            expected[first] = Float(a * Double(cosine[pair]) - b * Double(sine[pair]))
            expected[second] = Float(a * Double(sine[pair]) + b * Double(cosine[pair]))
          }
        }
        var out = [Float](repeating: 7, count: x.count)
        instructions.rotate(
          x, out: &out, heads: 3, headStride: stride, headDim: headDim, rotaryDim: rotaryDim, layout: layout,
          cosine: cosine, sine: sine)
        #expect(largestDifference(out, expected) < 1e-6, "\(headDim) \(rotaryDim) \(layout)")
        var inPlace = x
        inPlace.withUnsafeMutableBufferPointer {
          instructions.rotate(
            $0.baseAddress!, out: $0.baseAddress!, heads: 3, headStride: stride, headDim: headDim,
            rotaryDim: rotaryDim, layout: layout, cosine: cosine, sine: sine)
        }
        for head in 0..<3 {
          let part = head * stride..<head * stride + headDim
          #expect(Array(inPlace[part]) == Array(out[part]), "in place \(headDim) \(rotaryDim) \(layout)")
        }
      }
    }
  }
}
