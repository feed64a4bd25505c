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

    /// W x + Σ B (A x) of one token, each row with the sum of its magnitudes, which bounds the error.
    func products(_ x: [Float]) -> [(sum: Double, magnitude: Double)] {
      let inputs = x.map { (sum: Double($0), magnitude: Double(abs($0))) }
      var result = Self.multiply(matrix, inputs)
      for part in parts {
        for (row, term) in Self.multiply(part.up, Self.multiply(part.down, inputs)).enumerated() {
          result[row].sum += term.sum
          result[row].magnitude += term.magnitude
        }
      }
      return result
    }

    private static func multiply(
      _ matrix: [Float], _ x: [(sum: Double, magnitude: Double)]
    ) -> [(sum: Double, magnitude: Double)] {
      stride(from: 0, to: matrix.count, by: x.count).map { start in
        var (sum, magnitude) = (0.0, 0.0)
        for column in 0..<x.count {
          let weight = Double(matrix[start + column])
          sum += weight * x[column].sum
          magnitude += abs(weight) * x[column].magnitude
        }
        return (sum, magnitude)
      }
    }
  }

  /// A workspace of one input and the group's outputs, whose buffers follow each other in the plan.
  private func workspace(
    _ group: LinearGroup, columns: Int, tokens: Int, kernels: InstructionSet
  ) -> (ForwardWorkspace, input: Int, outputs: [Int]) {
    var plan = BufferPlan(hiddenSize: columns)
    let input = plan.take(.init(width: columns, feedsProducts: true, isForLogits: false))
    let outputs = group.linears.map {
      plan.take(.init(width: $0.matrix.rows, feedsProducts: false, isForLogits: false))
    }
    plan.lowRankWidth = group.lowRank?.rank ?? 0
    return (
      ForwardWorkspace(plan, rows: tokens, logitRows: 1, arithmetic: .float32, kernels: kernels), input, outputs
    )
  }

  /// Ranks of the adapters of each matrix: none at all for one, one adapter, two; sums on both sides of a panel.
  private static let ranks: [[[Int]]] = [
    [[3], [], [4]], [[], [16, 5], []], [[1], [2, 3], [40]], [[64], [64], [64]],
  ]

  @Test(arguments: ranks, [true, false])
  func `three matrices of one input`(ranks: [[Int]], exactHalves: Bool) throws {
    let (columns, tokens) = (70, 19)
    var random = SplitMix64(seed: 5)
    let samples = zip([48, 24, 24], ranks).map {
      Sample(rows: $0, columns: columns, ranks: $1, exactHalves: exactHalves, using: &random)
    }
    let group = LinearGroup(samples.map(\.linear))
    #expect(group.lowRank?.down.type == (exactHalves ? .float16 : .float32))
    let input = random.normals(columns * tokens)
    let expected = samples.map { sample in
      (0..<tokens).map { sample.products(Array(input[$0 * columns..<($0 + 1) * columns])) }
    }
    for kernels in InstructionSet.available {
      for threads in [1, 3] {
        let team = try WorkerTeam(threads: threads)
        let (workspace, from, to) = workspace(group, columns: columns, tokens: tokens, kernels: kernels)
        for index in input.indices { workspace.pointers[from][index] = input[index] }
        let projection = Projection(group, outputs: to)
        let outputs = zip(to, samples).map {
          UnsafeMutableBufferPointer(start: workspace.pointers[$0], count: tokens * $1.rows)
        }
        var first: [[Float]]?
        for rows in [tokens, 8, 7, 2, 1] {
          for output in outputs { output.update(repeating: .nan) }
          withUnsafePointer(to: projection) {
            GraphExecutor(workspace: workspace, team: team, rows: rows).project($0, from)
          }
          for (output, products) in zip(outputs, expected) {
            for (index, (sum, magnitude)) in products[..<rows].joined().enumerated() {
              let error = abs(Double(output[index]) - sum)
              if !(error <= 2e-6 * magnitude) { Issue.record("\(kernels) \(rows) rows: off by \(error)") }
            }
          }
          // The same bits, however many tokens there are.
          let token = outputs.map { $0[..<(columns / 3)].map(\.self) }
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
      let (workspace, from, to) = workspace(group, columns: 24, tokens: 9, kernels: .current)
      for index in input.indices { workspace.pointers[from][index] = input[index] }
      let output = UnsafeMutableBufferPointer(start: workspace.pointers[to[0]], count: 9 * 40)
      output.update(repeating: 100)
      withUnsafePointer(to: Projection(group, outputs: to, accumulates: true)) {
        GraphExecutor(workspace: workspace, team: team, rows: rows).project($0, from)
      }
      for token in 0..<rows {
        let products = sample.products(Array(input[token * 24..<(token + 1) * 24]))
        for (row, (sum, magnitude)) in products.enumerated() {
          #expect(abs(Double(output[token * 40 + row]) - 100 - sum) <= 2e-6 * (magnitude + 100))
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
