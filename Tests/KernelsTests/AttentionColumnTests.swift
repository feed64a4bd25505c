import Kernels
import TestSupport
import Testing

@Suite struct AttentionColumnTests {
  /// Column sums after attending to `run` in full, taken over `pieces` of it.
  private func columnSums(
    _ stage: Stage, run: Range<Int>, pieces: [Range<Int>], queries: [Float], rowsPerToken: Int,
    rowWeights: [Float]? = nil, logWeights: [Float]? = nil, visible: [Range<Int>]? = nil, start: Float = 0,
    with instructions: InstructionSet
  ) -> [Float] {
    let dim = stage.storage.headDim
    var partial = Partial(rows: queries.count / dim, headDim: dim)
    partial.attend(
      stage, run, queries: queries, rowsPerToken: rowsPerToken, logWeights: logWeights, visible: visible,
      with: instructions)
    // Unpadded arrays of exactly the slots: anything beyond would be an overflow that address checks can see.
    var sums = [Float](repeating: start, count: stage.storage.slots)
    let scratch = Buffer<Float>(count: InstructionSet.attentionScratch(rows: partial.rows, headDim: dim))
    let first = visible?.map { Int32($0.lowerBound) }, last = visible?.map { Int32($0.upperBound) }
    for piece in pieces {
      withOptional(rowWeights) { rowWeights in
        withOptional(logWeights) { logWeights in
          withOptional(first) { first in
            withOptional(last) { last in
              instructions.addColumnSums(
                stage.storage, run: piece,
                queries: QueryRows(queries, stride: dim, count: partial.rows, rowsPerToken: rowsPerToken),
                max: partial.max, sum: partial.sum, rowWeights: rowWeights, logWeights: logWeights,
                visibleFirst: first, visibleLast: last, scratch: scratch.pointer, to: &sums)
            }
          }
        }
      }
    }
    return sums
  }

  /// Column sums from weights kept while `pieces` are attended to one after the other.
  private func keptColumnSums(
    _ stage: Stage, pieces: [Range<Int>], queries: [Float], rowsPerToken: Int, rowWeights: [Float]? = nil,
    logWeights: [Float]? = nil, visible: [Range<Int>]? = nil, start: Float = 0, areHalves: Bool = false,
    with instructions: InstructionSet
  ) -> [Float] {
    let dim = stage.storage.headDim
    var partial = Partial(rows: queries.count / dim, headDim: dim)
    let kept = pieces.map { Buffer<Float>(count: InstructionSet.keptFloats(rows: partial.rows, slots: $0.count)) }
    for (piece, kept) in zip(pieces, kept) {
      kept.elements.update(repeating: .nan)
      partial.attend(
        stage, piece, queries: queries, rowsPerToken: rowsPerToken, logWeights: logWeights, visible: visible,
        keeping: kept, asHalves: areHalves, with: instructions)
    }
    var sums = [Float](repeating: start, count: stage.storage.slots)
    let first = visible?.map { Int32($0.lowerBound) }, last = visible?.map { Int32($0.upperBound) }
    for (piece, kept) in zip(pieces, kept) {
      withOptional(rowWeights) { rowWeights in
        withOptional(first) { first in
          withOptional(last) { last in
            instructions.addKeptColumnSums(
              kept.pointer, areHalves: areHalves, run: piece, rows: partial.rows, rowsPerToken: rowsPerToken,
              max: partial.max,
              sum: partial.sum, rowWeights: rowWeights, visibleFirst: first, visibleLast: last, to: &sums)
          }
        }
      }
    }
    return sums
  }

  private func withOptional<T>(_ array: [T]?, _ body: (UnsafePointer<T>?) -> Void) {
    guard let array else { return body(nil) }
    array.withUnsafeBufferPointer { body($0.baseAddress) }
  }

  @Test(arguments: SlotStorage.types, [32, 64, 80])
  func matchBruteForce(type: ElementType, headDim: Int) {
    guard SlotStorage.supports(type: type, headDim: headDim) else { return }
    var random = SplitMix64(seed: 71)
    let stage = Stage(type: type, headDim: headDim, slots: 150)
    stage.fill(0..<150, using: &random)
    var logWeights = random.normals(150)
    logWeights[33] = -.infinity
    for (tokens, group, run) in [(1, 1, 0..<150), (1, 3, 17..<131), (1, 8, 0..<64), (13, 3, 5..<150), (2, 7, 63..<66)] {
      let queries = random.normals(tokens * group * headDim, scale: 1 / Float(headDim).squareRoot())
      let rowWeights = (0..<tokens * group).map { Float($0 % 3) }
      let visible = (0..<tokens).map { token in
        token % 4 == 3 ? 0..<0 : 10 + token..<Swift.min(150, 60 + 20 * token)
      }
      for (rows, weights, ranges) in [
        (nil, nil, nil), (rowWeights, nil, nil), (nil, logWeights, nil), (rowWeights, logWeights, visible),
      ] {
        let expected = attentionReference(
          stage, run: run, queries: queries, rowsPerToken: group, logWeights: weights, visible: ranges)
        let sums = (0..<150).map { slot in
          expected.probabilities.indices.reduce(0.5) {
            $0 + expected.probabilities[$1][slot] * Double(rows?[$1] ?? 1)
          }
        }
        for instructions in InstructionSet.available {
          let actual = columnSums(
            stage, run: run, pieces: [run], queries: queries, rowsPerToken: group, rowWeights: rows,
            logWeights: weights, visible: ranges, start: 0.5, with: instructions)
          let difference = largestDifference(actual, sums.map(Float.init))
          // A slot's sum gathers the errors of all rows of a token, which weigh up to 2.
          let tolerance = AttentionTolerance(type, rowsPerToken: group, with: instructions).probability
          let largest = tolerance > 5e-6 ? tolerance * Float(group) : tolerance
          #expect(difference < largest, "\(instructions) \(type.name) \(headDim) \(tokens)x\(group) \(run)")
          for slot in 0..<150 where !run.contains(slot) { #expect(actual[slot] == 0.5) }
          let middle = (run.lowerBound + run.upperBound) / 2
          for pieces in [[run], [run.lowerBound..<middle, middle..<run.upperBound]] {
            let kept = keptColumnSums(
              stage, pieces: pieces, queries: queries, rowsPerToken: group, rowWeights: rows, logWeights: weights,
              visible: ranges, start: 0.5, with: instructions)
            #expect(largestDifference(kept, actual) < 3e-6, "\(instructions) \(type.name) \(headDim) \(pieces)")
            for slot in 0..<150 where !run.contains(slot) { #expect(kept[slot] == 0.5) }
            let halves = keptColumnSums(
              stage, pieces: pieces, queries: queries, rowsPerToken: group, rowWeights: rows, logWeights: weights,
              visible: ranges, start: 0.5, areHalves: true, with: instructions)
            // Eleven bits of each weight, however small it is beside the largest.
            for slot in 0..<150 {
              let error = abs(halves[slot] - kept[slot])
              #expect(error <= 5e-4 * (kept[slot] - 0.5) + 1e-7, "\(instructions) \(type.name) \(pieces) \(slot)")
            }
          }
        }
      }
    }
  }

  /// The same bits from one call as from calls for pieces of the run, cut anywhere.
  @Test(arguments: [ElementType.float16, .q8_0], InstructionSet.available)
  func doNotDependOnHowARunIsCut(type: ElementType, instructions: InstructionSet) {
    var random = SplitMix64(seed: 72)
    let stage = Stage(type: type, headDim: 64, slots: 200)
    stage.fill(3..<200, using: &random)
    let queries = random.normals(40 * 64, scale: 0.2)
    func sums(_ pieces: [Range<Int>]) -> [Float] {
      columnSums(stage, run: 3..<200, pieces: pieces, queries: queries, rowsPerToken: 4, with: instructions)
    }
    let whole = sums([3..<200])
    #expect(sums([3..<20, 20..<64, 64..<65, 65..<200]) == whole)
    #expect(sums([128..<200, 70..<128, 3..<70]) == whole)
    #expect(abs(whole.reduce(0, +) - 40) < 1e-4)
  }

  /// Each head's sums apart add up to those of all heads together.
  @Test(arguments: [ElementType.float32, .q8_0], InstructionSet.available)
  func headsApart(type: ElementType, instructions: InstructionSet) {
    var random = SplitMix64(seed: 74)
    let stage = Stage(type: type, headDim: 32, slots: 90)
    stage.fill(0..<90, using: &random)
    for (tokens, group) in [(1, 3), (15, 3), (9, 8), (40, 1), (7, 5)] {
      let queries = random.normals(tokens * group * 32, scale: 0.2)
      var partial = Partial(rows: tokens * group, headDim: 32)
      partial.attend(
        stage, 7..<90, queries: queries, rowsPerToken: group, logWeights: nil, visible: nil, with: instructions)
      let scratch = Buffer<Float>(count: InstructionSet.attentionScratch(rows: partial.rows, headDim: 32))
      var apart = [Float](repeating: 0, count: group * 100)
      instructions.addColumnSums(
        stage.storage, run: 7..<90, queries: QueryRows(queries, stride: 32, count: tokens * group, rowsPerToken: group),
        max: partial.max, sum: partial.sum, scratch: scratch.pointer, to: &apart, headStride: 100)
      let expected = attentionReference(stage, run: 7..<90, queries: queries, rowsPerToken: group)
      for head in 0..<group {
        let sums = (0..<90).map { slot in
          (0..<tokens).reduce(0.0) { $0 + expected.probabilities[$1 * group + head][slot] }
        }
        let difference = largestDifference(Array(apart[head * 100..<head * 100 + 90]), sums.map(Float.init))
        #expect(difference < 5e-6, "\(instructions) \(type.name) \(tokens)x\(group) head \(head)")
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func rowsWithoutSlotsAddNothing(instructions: InstructionSet) {
    var random = SplitMix64(seed: 73)
    let stage = Stage(type: .float16, headDim: 32, slots: 20)
    stage.fill(0..<20, using: &random)
    let sums = columnSums(
      stage, run: 0..<20, pieces: [0..<20], queries: random.normals(2 * 32), rowsPerToken: 1,
      logWeights: [Float](repeating: -.infinity, count: 20), visible: [0..<20, 4..<4], start: 0.25,
      with: instructions)
    #expect(sums == [Float](repeating: 0.25, count: 20))
    let kept = keptColumnSums(
      stage, pieces: [0..<20], queries: random.normals(2 * 32), rowsPerToken: 1,
      logWeights: [Float](repeating: -.infinity, count: 20), visible: [0..<20, 4..<4], start: 0.25,
      with: instructions)
    #expect(kept == [Float](repeating: 0.25, count: 20))
  }
}
