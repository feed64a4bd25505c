import Kernels
import TestSupport
import Testing

/// Sums of a matrix's rows and additions to them, on every instruction set of the machine.
@Suite struct RowSumTests {
  static let columns = [1, 15, 16, 17, 48, 64, 80, 100, 128]

  @Test(arguments: InstructionSet.available, columns)
  func `weighted sums are those of the definition`(kernels: InstructionSet, columns: Int) {
    var random = SplitMix64(seed: UInt64(columns))
    for (count, sums) in [(0, 2), (1, 1), (5, 9), (153, 3), (20, 16)] {
      let (weightStride, outStride) = (count + 3, columns + 5)
      let matrix = random.normals(max(count * columns, 1))
      let weights = random.normals(sums * weightStride)
      var out = [Float](repeating: 7, count: sums * outStride)
      kernels.sumRows(
        of: matrix, count: count, columns: columns, weights: weights, weightStride: weightStride, sums: sums, out: &out,
        outStride: outStride)
      for sum in 0..<sums {
        let expected = (0..<columns).map { column in
          Float(
            (0..<count).reduce(0.0) { $0 + Double(weights[sum * weightStride + $1] * matrix[$1 * columns + column]) })
        }
        let row = Array(out[sum * outStride..<sum * outStride + columns])
        #expect(largestDifference(row, expected) < 1e-5 * Float(max(count, 1)).squareRoot())
        #expect(out[sum * outStride + columns..<(sum + 1) * outStride].allSatisfy { $0 == 7 })
      }
    }
  }

  @Test(arguments: InstructionSet.available, columns)
  func `a row is added to every row`(kernels: InstructionSet, columns: Int) {
    var random = SplitMix64(seed: UInt64(columns))
    for count in [0, 1, 7, 153] {
      let row = random.normals(columns)
      let weights = random.normals(count + 1)
      let before = random.normals(count * columns + 3)
      var matrix = before
      kernels.add(row, times: weights, toRowsOf: &matrix, count: count, columns: columns)
      let expected = before.indices.map { index in
        index < count * columns ? before[index] + weights[index / columns] * row[index % columns] : before[index]
      }
      #expect(largestDifference(matrix, expected) < 1e-6)
      #expect(matrix.suffix(3) == before.suffix(3))
    }
  }
}
