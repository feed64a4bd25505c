import Foundation
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Statistics of keys and the directions in which they differ most.
@Suite("Principal directions")
struct PrincipalDirectionsTests {
  @Test("mean and covariance are those of two passes", arguments: [3, 16, 40])
  func statistics(dim: Int) {
    var random = SplitMix64(seed: UInt64(dim))
    let offset = random.normals(dim, scale: 8)
    let keys = (0..<300).map { _ in zip(random.normals(dim), offset).map { $0 + $1 } }
    let (mean, products) = (Buffer<Float>(count: dim), Buffer<Float>(count: KeyStatistics.productFloats(dim: dim)))
    let statistics = KeyStatistics(dim: dim, mean: mean.pointer, products: products.pointer)
    let scratch = Buffer<Float>(count: dim)
    for (index, key) in keys.enumerated() {
      statistics.add(key, count: index + 1, scratch: scratch.pointer, .current)
    }
    var covariance = [Double](repeating: .nan, count: dim * dim)
    statistics.covariance(count: keys.count, to: &covariance)
    let means = (0..<dim).map { index in keys.reduce(0) { $0 + Double($1[index]) } / 300 }
    for row in 0..<dim {
      #expect(abs(Double(mean[row]) - means[row]) < 1e-5)
      for column in 0..<dim {
        let expected =
          keys.reduce(0) { $0 + (Double($1[row]) - means[row]) * (Double($1[column]) - means[column]) } / 300
        #expect(abs(covariance[row * dim + column] - expected) < 1e-4)
      }
    }
  }

  /// A covariance with the given variances along random directions.
  private func covariance(_ variances: [Double], seed: UInt64) -> (matrix: [Double], axes: [[Double]]) {
    var random = SplitMix64(seed: seed)
    let dim = variances.count
    var axes: [[Double]] = []
    while axes.count < dim {
      var axis = random.normals(dim).map(Double.init)
      for _ in 0..<2 {
        for other in axes {
          let product = zip(axis, other).reduce(0) { $0 + $1.0 * $1.1 }
          axis = zip(axis, other).map { $0 - product * $1 }
        }
      }
      let length = axis.reduce(0) { $0 + $1 * $1 }.squareRoot()
      axes.append(axis.map { $0 / length })
    }
    var matrix = [Double](repeating: 0, count: dim * dim)
    for (axis, variance) in zip(axes, variances) {
      for row in 0..<dim { for column in 0..<dim { matrix[row * dim + column] += variance * axis[row] * axis[column] } }
    }
    return (matrix, axes)
  }

  private func find(_ matrix: [Double], dim: Int, rank: Int) -> (directions: [Float], residual: Float) {
    let scratch = Buffer<Double>(count: PrincipalDirections.scratchDoubles(dim: dim, rank: rank))
    for (index, value) in matrix.enumerated() { scratch[index] = value }
    var directions = [Float](repeating: .nan, count: dim * rank)
    let residual = PrincipalDirections.find(dim: dim, rank: rank, to: &directions, scratch: scratch.pointer)
    return (directions, residual)
  }

  @Test("they span what has the most variance, and the rest is counted", arguments: [1, 2, 4, 7, 12])
  func subspace(rank: Int) {
    let variances = (0..<12).map { 9 * pow(0.6, Double($0)) }
    let (matrix, axes) = covariance(variances, seed: UInt64(rank))
    let (directions, residual) = find(matrix, dim: 12, rank: rank)
    for first in 0..<rank {
      for second in 0...first {
        let product = (0..<12).reduce(0) { $0 + Double(directions[$1 * rank + first] * directions[$1 * rank + second]) }
        #expect(abs(product - (first == second ? 1 : 0)) < 1e-5)
      }
    }
    // All of each main axis lies in the span, to what its last direction has converged.
    for axis in axes.prefix(rank) {
      let inside = (0..<rank).reduce(0) { sum, direction in
        let part = (0..<12).reduce(0) { $0 + axis[$1] * Double(directions[$1 * rank + direction]) }
        return sum + part * part
      }
      #expect(inside > 0.999)
    }
    let rest = variances.dropFirst(rank)
    let expected = rest.isEmpty ? 0 : rest.reduce(0, +) / Double(rest.count)
    #expect(abs(Double(residual) - expected) <= 1e-3 * max(expected, 1e-3))
  }

  @Test("a covariance of nothing, of one direction, or of broken numbers still gives directions")
  func degenerate() {
    let single = covariance([4] + [Double](repeating: 0, count: 7), seed: 3).matrix
    for matrix in [[Double](repeating: 0, count: 64), single, single.map { $0 * 1e-30 }, single.map { $0 * 1e20 }] {
      let (directions, residual) = find(matrix, dim: 8, rank: 3)
      for direction in 0..<3 {
        let length = (0..<8).reduce(0) { $0 + directions[$1 * 3 + direction] * directions[$1 * 3 + direction] }
        #expect(abs(length - 1) < 1e-4)
      }
      #expect(residual >= 0 && residual.isFinite)
    }
    _ = find([Double](repeating: .nan, count: 64), dim: 8, rank: 3)
  }
}
