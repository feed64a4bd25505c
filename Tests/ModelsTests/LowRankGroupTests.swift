import KVCaches
import Kernels
import TestSupport
import Testing

@testable import Models

/// Groups of matrices with low-rank terms against Float64, with every instruction set.
struct LowRankGroupTests {
  private struct Sample {
    let rows: Int
    let matrix: [Float]
    /// One pair of factors an adapter; none leaves the matrix alone.
    var parts: [LowRankFactors] = []

    init(rows: Int, columns: Int, ranks: [Int], exactHalves: Bool, using random: inout SplitMix64) {
      func normals(_ count: Int) -> [Float] {
        // Multiples of 1/256 below 8 are halves.
        random.normals(count).map { exactHalves ? ($0 * 256).rounded() / 256 : $0 }
      }
      self.rows = rows
      matrix = normals(rows * columns)
      for rank in ranks {
        parts.append(LowRankFactors(rank: rank, down: normals(rank * columns), up: normals(rows * rank)))
      }
    }

    var linear: Linear {
      let columns = matrix.count / rows
      let packed = matrix.withUnsafeBytes {
        PackedMatrix(type: .float32, rows: rows, columns: columns, source: $0, team: nil)
      }
      return Linear(matrix: packed, bias: nil, factors: LowRankFactors(sumOf: parts, rows: rows))
    }

    /// Row `row` of W x + Σ B (A x) and the sum of magnitudes, for the error's bound.
    func product(_ row: Int, _ x: [Float]) -> (sum: Double, magnitude: Double) {
      var (sum, magnitude) = (0.0, 0.0)
      func dot(_ a: ArraySlice<Float>) -> (Double, Double) {
        zip(a, x).reduce((0, 0)) { ($0.0 + Double($1.0) * Double($1.1), $0.1 + abs(Double($1.0) * Double($1.1))) }
      }
      (sum, magnitude) = dot(matrix[row * x.count..<(row + 1) * x.count])
      for part in parts {
        for index in 0..<part.rank {
          let (value, size) = dot(part.down[index * x.count..<(index + 1) * x.count])
          let weight = Double(part.up[row * part.rank + index])
          sum += weight * value
          magnitude += abs(weight) * size
        }
      }
      return (sum, magnitude)
    }
  }

  private func configuration(hidden: Int, feedForward: Int, lowRankWidth: Int) -> ModelConfiguration {
    ModelConfiguration(
      architecture: "llama", vocabularySize: 16, hiddenSize: hidden, feedForwardSize: feedForward,
      attention: KVCache.Shape(layers: 1, queryHeads: 2, keyValueHeads: 1, headDim: 24), positions: .none,
      trainedLength: 8, normEpsilon: 1e-5, lowRankWidth: lowRankWidth)
  }

  /// Ranks of the adapters of each matrix: none at all for one, one adapter, two; sums on both sides of a panel.
  private static let ranks: [[[Int]]] = [
    [[3], [], [4]], [[], [16, 5], []], [[1], [2, 3], [40]], [[64], [64], [64]],
  ]

  @Test(arguments: ranks, [true, false])
  func `three matrices of one input`(ranks: [[Int]], exactHalves: Bool) throws {
    let (columns, tokens) = (70, 33)
    var random = SplitMix64(seed: 5)
    let samples = zip([48, 24, 24], ranks).map {
      Sample(rows: $0, columns: columns, ranks: $1, exactHalves: exactHalves, using: &random)
    }
    let group = LinearGroup(samples.map(\.linear))
    #expect(group.lowRank?.down.type == (exactHalves ? .float16 : .float32))
    let input = random.normals(columns * tokens)
    for kernels in InstructionSet.available {
      for threads in [1, 3] {
        let team = try WorkerTeam(threads: threads)
        let width = ranks.joined().reduce(0, +)
        let workspace = ForwardWorkspace(
          configuration(hidden: columns, feedForward: 16, lowRankWidth: width), rows: tokens, logitRows: 1,
          arithmetic: .float32, kernels: kernels)
        for index in input.indices { workspace.normed.values[index] = input[index] }
        var first: [[Float]]?
        for rows in [tokens, 8, 7, 2, 1] {
          let outputs = [workspace.queries, workspace.keys, workspace.values]
          for output in outputs { output.elements.update(repeating: .nan) }
          Pass(workspace: workspace, team: team, rows: rows)
            .project(group, workspace.normed, into: outputs[0], outputs[1], outputs[2])
          for (sample, output) in zip(samples, outputs) {
            for token in 0..<rows {
              let x = Array(input[token * columns..<(token + 1) * columns])
              for row in 0..<sample.rows {
                let (sum, magnitude) = sample.product(row, x)
                let error = abs(Double(output[token * sample.rows + row]) - sum)
                if !(error <= 2e-6 * magnitude) { Issue.record("\(kernels) \(rows) rows: off by \(error)") }
              }
            }
          }
          // The same bits, however many tokens there are.
          let token = outputs.map { $0.elements[..<(columns / 3)].map(\.self) }
          if let first { #expect(token == first, "\(kernels), \(rows) rows") }
          first = first ?? token
        }
      }
    }
  }

  @Test func `a residual keeps what was there`() throws {
    var random = SplitMix64(seed: 6)
    let sample = Sample(rows: 40, columns: 24, ranks: [4], exactHalves: false, using: &random)
    let group = LinearGroup([sample.linear])
    let team = try WorkerTeam(threads: 2)
    let input = random.normals(24 * 9)
    for rows in [1, 9] {
      let workspace = ForwardWorkspace(
        configuration(hidden: 40, feedForward: 24, lowRankWidth: 4), rows: 9, logitRows: 1, arithmetic: .float32,
        kernels: .current)
      for index in input.indices { workspace.activated.values[index] = input[index] }
      workspace.hidden.elements.update(repeating: 100)
      Pass(workspace: workspace, team: team, rows: rows).addProjection(group, workspace.activated)
      for token in 0..<rows {
        for row in 0..<40 {
          let (sum, magnitude) = sample.product(row, Array(input[token * 24..<(token + 1) * 24]))
          #expect(abs(Double(workspace.hidden[token * 40 + row]) - 100 - sum) <= 2e-6 * (magnitude + 100))
        }
      }
    }
  }

  @Test func `a group without adapters has nothing beside it`() {
    var random = SplitMix64(seed: 7)
    let sample = Sample(rows: 8, columns: 8, ranks: [], exactHalves: false, using: &random)
    #expect(LinearGroup([sample.linear]).lowRank == nil)
  }
}
