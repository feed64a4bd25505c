import Foundation
import Kernels
import TestSupport
import Testing

@Suite struct AttentionTests {
  private static let runs: [Range<Int>] = [0..<150, 5..<6, 17..<131, 64..<128, 63..<66, 10..<10, 16..<32, 1..<80]

  private func check(
    _ partial: Partial, _ expected: AttentionReference, _ instructions: InstructionSet, _ what: String,
    tolerance: AttentionTolerance = .exact
  ) {
    let difference = largestDifference(partial.finished(with: instructions), expected.out)
    #expect(difference < tolerance.output, "\(instructions) \(what)")
    for row in 0..<partial.rows {
      let logSumExp = partial.sum[row] > 0 ? Double(partial.max[row]) + log(Double(partial.sum[row])) : -.infinity
      let close = logSumExp == expected.logSumExp[row] || abs(logSumExp - expected.logSumExp[row]) < tolerance.logSumExp
      #expect(close, "\(instructions) \(what) row \(row): \(logSumExp) is not \(expected.logSumExp[row])")
    }
  }

  @Test(arguments: SlotStorage.types, [8, 16, 48, 64, 80, 96, 128, 256])
  func matchesBruteForce(type: ElementType, headDim: Int) {
    guard SlotStorage.supports(type: type, headDim: headDim) else { return }
    var random = SplitMix64(seed: 41)
    let stage = Stage(type: type, headDim: headDim, slots: 150)
    stage.fill(0..<150, using: &random)
    var logWeights = random.normals(150)
    logWeights[20] = -.infinity
    logWeights[64] = 8
    let shapes = [(1, 1), (1, 3), (1, 8), (5, 1), (2, 7), (3, 4), (13, 3), (1, 2)]
    for (index, (tokens, group)) in shapes.enumerated() {
      let queries = random.normals(tokens * group * headDim, scale: 1 / Float(headDim).squareRoot())
      let run = Self.runs[index]
      let visible = (0..<tokens).map { token -> Range<Int> in
        if token % 4 == 3 { return 0..<0 }
        let first = Int.random(in: 0..<150, using: &random)
        return first..<Int.random(in: first...150, using: &random)
      }
      for (weights, ranges) in [(nil, nil), (logWeights, nil), (nil, visible), (logWeights, visible)] {
        let expected = attentionReference(
          stage, run: run, queries: queries, rowsPerToken: group, logWeights: weights, visible: ranges)
        for instructions in InstructionSet.available {
          var partial = Partial(rows: tokens * group, headDim: headDim)
          partial.attend(
            stage, run, queries: queries, rowsPerToken: group, logWeights: weights, visible: ranges,
            with: instructions)
          check(
            partial, expected, instructions, "\(type.name) \(headDim) \(tokens)x\(group) \(run)",
            tolerance: AttentionTolerance(type, rowsPerToken: group, with: instructions))
        }
      }
    }
  }

  @Test(arguments: SlotStorage.types, [1, 3, 5])
  func rowsMayHaveWeightsOfTheirOwn(type: ElementType, group: Int) {
    var random = SplitMix64(seed: 48)
    let (slots, dim, rows) = (90, 32, 20 * group)
    let stage = Stage(type: type, headDim: dim, slots: slots)
    stage.fill(0..<slots, using: &random)
    let queries = random.normals(rows * dim, scale: 0.3)
    let weights = random.normals(rows * 96, scale: 2)
    for run in [0..<90, 64..<90, 3..<70] {
      var expected = AttentionReference()
      for row in 0..<rows {
        let one = attentionReference(
          stage, run: run, queries: Array(queries[row * dim..<(row + 1) * dim]), rowsPerToken: 1,
          logWeights: Array(weights[row * 96..<row * 96 + slots]))
        expected.out += one.out
        expected.logSumExp += one.logSumExp
      }
      for instructions in InstructionSet.available {
        var partial = Partial(rows: rows, headDim: dim)
        partial.attend(
          stage, run, queries: queries, rowsPerToken: group, logWeights: weights, logWeightStride: 96,
          with: instructions)
        check(
          partial, expected, instructions, "\(type.name) \(group) \(run)",
          tolerance: AttentionTolerance(type, rowsPerToken: group, scale: 2, with: instructions))
      }
    }
  }

  @Test(arguments: [ElementType.float16, .bfloat16, .q8_0, .q4_1], [3, 7, 8])
  func causalPrefillMatchesBruteForce(type: ElementType, group: Int) {
    var random = SplitMix64(seed: 42)
    let (tokens, past) = (70, 21)
    let stage = Stage(type: type, headDim: 32, slots: past + tokens)
    stage.fill(0..<past + tokens, using: &random)
    let queries = random.normals(tokens * group * 32, scale: 0.3)
    let visible = (0..<tokens).map { 0..<past + $0 + 1 }
    let run = 0..<past + tokens
    let expected = attentionReference(stage, run: run, queries: queries, rowsPerToken: group, visible: visible)
    for instructions in InstructionSet.available {
      var partial = Partial(rows: tokens * group, headDim: 32)
      partial.attend(stage, run, queries: queries, rowsPerToken: group, visible: visible, with: instructions)
      check(
        partial, expected, instructions, "causal \(type.name)",
        tolerance: AttentionTolerance(type, rowsPerToken: group, with: instructions))

      // The same bits when each token comes alone: how rows are tiled must not matter.
      for token in [0, 1, 10, 11, 42, 69] {
        let rows = token * group..<(token + 1) * group
        var alone = Partial(rows: group, headDim: 32)
        alone.attend(
          stage, run, queries: Array(queries[rows.lowerBound * 32..<rows.upperBound * 32]), rowsPerToken: group,
          visible: [visible[token]], with: instructions)
        #expect(alone.max == Array(partial.max[rows]) && alone.sum == Array(partial.sum[rows]))
        #expect(alone.out == Array(partial.out[rows.lowerBound * 32..<rows.upperBound * 32]), "token \(token)")
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func aPartialContinuesAndMergesLikeOneRun(instructions: InstructionSet) {
    var random = SplitMix64(seed: 43)
    let stage = Stage(type: .float16, headDim: 48, slots: 140)
    stage.fill(0..<140, using: &random)
    let queries = random.normals(6 * 48, scale: 0.5)
    let expected = attentionReference(stage, run: 3..<140, queries: queries, rowsPerToken: 3)
    func attended(_ runs: [Range<Int>]) -> Partial {
      var partial = Partial(rows: 6, headDim: 48)
      for run in runs { partial.attend(stage, run, queries: queries, rowsPerToken: 3, with: instructions) }
      return partial
    }
    let tolerance = AttentionTolerance(.float16, rowsPerToken: 3, with: instructions)
    check(attended([3..<9, 9..<64, 64..<64, 64..<140]), expected, instructions, "continued", tolerance: tolerance)
    check(
      attended([100..<140, 3..<100]), expected, instructions, "continued in another order", tolerance: tolerance)

    let parts = [3..<20, 20..<90, 90..<140].map { attended([$0]) }
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
      var merged = Partial(rows: 6, headDim: 48)
      for index in order { merged.merge(parts[index], with: instructions) }
      check(merged, expected, instructions, "merged \(order)", tolerance: tolerance)
    }
    var right = parts[1]
    right.merge(parts[2], with: instructions)
    var nested = parts[0]
    nested.merge(right, with: instructions)
    check(nested, expected, instructions, "merged as a + (b + c)", tolerance: tolerance)

    var withEmpty = parts[0]
    withEmpty.merge(Partial(rows: 6, headDim: 48), with: instructions)
    #expect(withEmpty.isIdentical(to: parts[0]))
    var empty = Partial(rows: 6, headDim: 48)
    empty.merge(parts[0], with: instructions)
    #expect(empty == parts[0])
    #expect(
      Partial(rows: 6, headDim: 48).finished(with: instructions) == [Float](repeating: 0, count: 6 * 48))
  }

  @Test(arguments: SlotStorage.types)
  func rowsThatSeeNothingKeepTheirBits(type: ElementType) {
    var random = SplitMix64(seed: 44)
    let stage = Stage(type: type, headDim: 32, slots: 100)
    stage.fill(0..<100, using: &random)
    let queries = random.normals(8 * 32)
    let visible = [40..<40, 0..<100, 0..<20, 90..<100, 99..<3 + 97, 0..<100, 20..<20, 0..<0]
    for instructions in InstructionSet.available {
      var partial = Partial(rows: 8, headDim: 32)
      for row in 0..<8 {
        partial.max[row] = -1.25
        partial.sum[row] = 0.3
        for index in 0..<32 { partial.out[row * 32 + index] = index % 2 == 0 ? -0.0 : .leastNonzeroMagnitude }
      }
      let before = partial
      partial.attend(stage, 20..<90, queries: queries, rowsPerToken: 1, visible: visible, with: instructions)
      for row in 0..<8 {
        let seesSome = [1, 5].contains(row)
        let changed = partial.sum[row].bitPattern != before.sum[row].bitPattern
        #expect(changed == seesSome, "\(instructions) row \(row)")
        if !seesSome {
          #expect(partial.max[row] == before.max[row])
          for index in row * 32..<row * 32 + 32 {
            #expect(partial.out[index].bitPattern == before.out[index].bitPattern)
          }
        }
      }
      let all = partial
      partial.attend(
        stage, 0..<100, queries: queries, rowsPerToken: 1,
        logWeights: [Float](repeating: -.infinity, count: 100), with: instructions)
      #expect(partial.isIdentical(to: all), "weights of zero change nothing")
    }
  }

  @Test(arguments: SlotStorage.types)
  func slotsOutsideTheRunAreNeverRead(type: ElementType) {
    var random = SplitMix64(seed: 45)
    let stage = Stage(type: type, headDim: 64, slots: 100)
    stage.fill(19..<71, using: &random)
    let queries = random.normals(9 * 64)
    let logWeights = (0..<100).map { Float((19..<71).contains($0) ? 0 : Double.nan) }
    for instructions in InstructionSet.available {
      for run in [19..<71, 20..<21, 63..<65, 30..<64] {
        for group in [3, 9] {
          var partial = Partial(rows: 9, headDim: 64)
          partial.attend(
            stage, run, queries: queries, rowsPerToken: group, logWeights: logWeights, with: instructions)
          check(
            partial, attentionReference(stage, run: run, queries: queries, rowsPerToken: group), instructions,
            "\(type.name) \(run)",
            tolerance: AttentionTolerance(type, rowsPerToken: group, scale: 8, with: instructions))
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func extremeLogitsStayFinite(instructions: InstructionSet) {
    for (scale, type) in [(Float(1e19), ElementType.float32), (1e4, .float16), (0, .float32)] {
      let stage = Stage(type: type, headDim: 16, slots: 33)
      for slot in 0..<33 {
        let key = [Float](repeating: slot == 20 ? scale : -scale, count: 16)
        instructions.writeKey(key, to: slot, of: stage.storage)
        instructions.writeValue([Float](repeating: Float(slot), count: 16), to: slot, of: stage.storage)
      }
      var partial = Partial(rows: 3, headDim: 16)
      let queries = [Float](repeating: scale == 0 ? 1 : 1e18, count: 48)
      partial.attend(stage, 0..<33, queries: queries, rowsPerToken: 3, with: instructions)
      let out = partial.finished(with: instructions)
      let rounding = 20 * AttentionTolerance(type, rowsPerToken: 3, with: instructions).output
      let isExact = type == .float32
      #expect(out.allSatisfy { abs($0 - (scale == 0 ? 16 : 20)) <= (isExact ? 0 : rounding) }, "\(scale) \(out)")
    }
  }

  /// Rows need not be contiguous: heads of several KV heads lie interleaved in one buffer.
  @Test(arguments: InstructionSet.available)
  func stridesSkipOtherHeads(instructions: InstructionSet) {
    var random = SplitMix64(seed: 46)
    let stage = Stage(type: .float32, headDim: 16, slots: 20)
    stage.fill(0..<20, using: &random)
    let wide = random.normals(4 * 40)
    let queries = (0..<4).flatMap { Array(wide[$0 * 40..<$0 * 40 + 16]) }
    var expected = Partial(rows: 4, headDim: 16)
    expected.attend(stage, 0..<20, queries: queries, rowsPerToken: 2, with: instructions)
    var (maxima, sums) = ([Float](repeating: -.infinity, count: 4), [Float](repeating: 0, count: 4))
    var out = [Float](repeating: 0, count: 4 * 24)
    let scratch = Buffer<Float>(count: InstructionSet.attentionScratch(rows: 4, headDim: 16))
    maxima.withUnsafeMutableBufferPointer { maxima in
      sums.withUnsafeMutableBufferPointer { sums in
        out.withUnsafeMutableBufferPointer { out in
          wide.withUnsafeBufferPointer { wide in
            instructions.attend(
              stage.storage, run: 0..<20,
              queries: QueryRows(wide.baseAddress!, stride: 40, count: 4, rowsPerToken: 2),
              partial: PartialRows(
                max: maxima.baseAddress!, sum: sums.baseAddress!, out: out.baseAddress!, stride: 24),
              scratch: scratch.pointer)
          }
        }
      }
    }
    for row in 0..<4 {
      #expect(Array(out[row * 24..<row * 24 + 16]) == Array(expected.out[row * 16..<row * 16 + 16]))
      #expect(out[row * 24 + 16..<row * 24 + 24].allSatisfy { $0 == 0 })
    }
  }
}
