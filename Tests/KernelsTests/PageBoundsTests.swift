import Kernels
import TestSupport
import Testing

/// Bounds of pages against Float64, on every instruction set.
@Suite struct PageBoundsTests {
  /// Bounds of pages of random keys, and the keys' own smallest and largest, `[page][dim]`.
  struct Subject {
    let headDim: Int
    let keys: [[[Float]]]
    let bounds: [UInt16]

    init(pages: Int, headDim: Int, keysPerPage: Int = 5, with instructions: InstructionSet) {
      var random = SplitMix64(seed: UInt64(pages * 1000 + headDim))
      self.headDim = headDim
      keys = (0..<pages).map { _ in (0..<keysPerPage).map { _ in random.normals(headDim) } }
      // What is there before does not matter.
      var bounds = [UInt16](
        repeating: 0x7bff, count: InstructionSet.pageBoundsCount(pages: pages, headDim: headDim))
      for key in 0..<keysPerPage {
        for page in 0..<pages {
          instructions.widen(page: page, of: &bounds, by: keys[page][key], headDim: headDim, isFirst: key == 0)
        }
      }
      self.bounds = bounds
    }

    /// The bound of one page's dimension; `side` 0 for the smallest, 1 for the largest.
    func bound(page: Int, dim: Int, side: Int) -> Double {
      Double(Float16(bitPattern: bounds[((page / 16 * headDim + dim) * 2 + side) * 16 + page % 16]))
    }
  }

  @Test(arguments: InstructionSet.available)
  func boundsAreTheHalvesJustOutsideTheKeys(instructions: InstructionSet) {
    for headDim in [2, 16, 80] {
      let subject = Subject(pages: 37, headDim: headDim, with: instructions)
      for page in 0..<37 {
        for dim in 0..<headDim {
          let values = subject.keys[page].map { $0[dim] }
          let (smallest, largest) = (values.min()!, values.max()!)
          let low = Float16(subject.bound(page: page, dim: dim, side: 0))
          let high = Float16(subject.bound(page: page, dim: dim, side: 1))
          #expect(Float(low) <= smallest && Float(low.nextUp) > smallest, "\(page) \(dim)")
          #expect(Float(high) >= largest && Float(high.nextDown) < largest, "\(page) \(dim)")
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func roundingIsOutwardForAllFloats(instructions: InstructionSet) {
    var random = SplitMix64(seed: 3)
    var values: [Float] = [0, -0.0, 1, -1, 65504, -65504, 65505, -65505, 1e38, -1e38, 0x1p-24, 0x1p-25, -0x1p-140]
    values += (0..<4000).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }.filter(\.isFinite)
    values += (0..<4000).map { _ in random.normal() * 0x1p-15 }
    for value in values {
      var bounds = [UInt16](repeating: 0, count: 64)
      instructions.widen(page: 3, of: &bounds, by: [value, value], headDim: 2, isFirst: true)
      let (low, high) = (Float16(bitPattern: bounds[32 + 3]), Float16(bitPattern: bounds[32 + 16 + 3]))
      #expect(Float(low) <= value && (low == -.infinity || Float(low.nextUp) > value), "\(value)")
      #expect(Float(high) >= value && (high == .infinity || Float(high.nextDown) < value), "\(value)")
    }
  }

  @Test(arguments: InstructionSet.available)
  func boundsOfLogitsEqualFloat64AndNoKeyExceedsThem(instructions: InstructionSet) {
    var random = SplitMix64(seed: 12)
    for headDim in [2, 48, 128] {
      for pages in [1, 15, 16, 17, 33, 64] {
        let subject = Subject(pages: pages, headDim: headDim, with: instructions)
        for rows in [1, 2, 3, 4, 5, 8] {
          let queries = random.normals(rows * headDim)
          let slopes = (0..<rows).map { 1 / Float(2 + $0) }
          let distances = (0..<pages).map { Float(7 * (pages - $0)) }
          for isBiased in [false, true] {
            var out = [Float](repeating: .nan, count: pages + 1)
            queries.withUnsafeBufferPointer { queries in
              instructions.boundPages(
                subject.bounds, pages: pages,
                queries: QueryRows(queries.baseAddress!, stride: headDim, count: rows, rowsPerToken: rows),
                headDim: headDim, slopes: nil, distances: nil, out: &out)
              guard isBiased else { return }
              instructions.boundPages(
                subject.bounds, pages: pages,
                queries: QueryRows(queries.baseAddress!, stride: headDim, count: rows, rowsPerToken: rows),
                headDim: headDim, slopes: slopes, distances: distances, out: &out)
            }
            for page in 0..<pages {
              let penalties = (0..<rows).map { isBiased ? Double(slopes[$0]) * Double(distances[page]) : 0 }
              let place = "\(headDim) dims, page \(page) of \(pages), \(rows) rows"
              let expected = (0..<rows).map { row in
                (0..<headDim).reduce(-penalties[row]) { sum, dim in
                  let query = Double(queries[row * headDim + dim])
                  return sum
                    + max(
                      query * subject.bound(page: page, dim: dim, side: 0),
                      query * subject.bound(page: page, dim: dim, side: 1))
                }
              }.max()!
              // Large penalties cancel in part, and leave their rounding.
              if !(abs(Double(out[page]) - expected) <= 2e-5 * max(8, abs(expected))) {
                Issue.record("\(place): \(out[page]) instead of \(expected)")
              }
              for (row, key) in (0..<rows).flatMap({ row in subject.keys[page].map { (row, $0) } }) {
                let logit = (0..<headDim).reduce(-penalties[row]) {
                  $0 + Double(queries[row * headDim + $1]) * Double(key[$1])
                }
                if !(logit <= Double(out[page]) + 1e-4) { Issue.record("\(place): logit \(logit) of \(out[page])") }
              }
            }
            #expect(out[pages].isNaN, "nothing is written past the last page")
          }
        }
      }
    }
  }

  @Test(arguments: InstructionSet.available)
  func brokenNumbersAreWorthReading(instructions: InstructionSet) {
    var bounds = [UInt16](repeating: 0, count: InstructionSet.pageBoundsCount(pages: 3, headDim: 2))
    instructions.widen(page: 0, of: &bounds, by: [.nan, 1], headDim: 2, isFirst: true)
    instructions.widen(page: 1, of: &bounds, by: [.infinity, 1], headDim: 2, isFirst: true)
    instructions.widen(page: 2, of: &bounds, by: [2, 1], headDim: 2, isFirst: true)
    var out = [Float](repeating: 0, count: 3)
    [Float(0), 1, 0, 3].withUnsafeBufferPointer {
      instructions.boundPages(
        bounds, pages: 3, queries: QueryRows($0.baseAddress!, stride: 2, count: 2, rowsPerToken: 2), headDim: 2,
        out: &out)
    }
    #expect(out == [.infinity, .infinity, 3])
  }
}
