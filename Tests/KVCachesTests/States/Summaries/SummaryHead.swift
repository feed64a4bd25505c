import Foundation
import Kernels
import TestSupport

@testable import KVCaches

/// One KV head of a summary, fed and read by hand.
struct SummaryHead<Summary: StageSummary> {
  let summary: Summary
  let kernels: InstructionSet
  private let head: Int
  private let scratch: Buffer<Float>
  private let kernelScratch: Buffer<Float>
  static var largestRows: Int { 8 }

  init(_ summary: Summary, head: Int = 0, kernels: InstructionSet = .current) {
    self.summary = summary
    self.head = head
    self.kernels = kernels
    scratch = Buffer(count: summary.scratchFloats(rows: Self.largestRows))
    kernelScratch = Buffer(
      count: InstructionSet.attentionScratch(rows: Self.largestRows, headDim: summary.headDim))
  }

  func melt(_ token: Token) {
    summary.melt(key: token.key, value: token.value, head: head, scratch: scratch.pointer, kernels)
  }

  /// What the head answers to queries: sums of weights and of weighted values, e^`max` taken out.
  func attend(_ queries: [[Float]], shares: Int = 1) -> [Answer] {
    let dim = summary.headDim
    let partial = PartialAttention(rows: queries.count, headDim: dim)
    let flat = queries.flatMap { $0 }
    flat.withUnsafeBufferPointer { flat in
      for index in 0..<shares {
        summary.attend(
          QueryRows(flat.baseAddress!, stride: dim, count: queries.count, rowsPerToken: queries.count), head: head,
          share: WorkShare(index: index, count: shares), partial: partial.rows(from: 0),
          kernelScratch: kernelScratch.pointer, scratch: scratch.pointer, kernels)
      }
    }
    return queries.indices.map { row in
      Answer(
        max: partial.maximum.pointer[row], sum: partial.sum.pointer[row],
        out: (0..<dim).map { partial.output.pointer[row * dim + $0] })
    }
  }

  func attend(_ query: [Float]) -> Answer { attend([query])[0] }

  /// Makes everything that was put off exact.
  func settle() where Summary == WardSummary {
    summary.clusters(head).settleAll(scratch: scratch.pointer, kernels)
  }

  struct Answer: Equatable {
    var max: Float
    var sum: Float
    var out: [Float]

    /// Σ e^⟨q,k⟩
    var denominator: Double { Double(sum) * exp(Double(max)) }
    /// Σ e^⟨q,k⟩ v
    var numerator: [Double] { out.map { Double($0) * exp(Double(max)) } }
    var output: [Float] { out.map { sum > 0 ? $0 / sum : 0 } }
  }
}

/// A key and a value.
struct Token: Equatable {
  var key: [Float]
  var value: [Float]

  static func random(dim: Int, scale: Float = 1, using random: inout SplitMix64) -> Token {
    Token(key: random.normals(dim, scale: scale), value: random.normals(dim))
  }
}

extension StateSite {
  /// All heads of so many layers.
  init(
    layers: Int = 1, keyValueHeads: Int = 1, groupSize: Int = 1, headDim: Int, slotType: KVCache.SlotType = .float32
  ) {
    let heads = StoredHeads(Array(0..<layers * keyValueHeads), layers: layers, keyValueHeads: keyValueHeads)
    self.init(heads: heads, groupSize: groupSize, headDim: headDim, slotType: slotType, stages: [])
  }
}

/// Attention by definition, in Float64.
struct ExactSums {
  /// e^⟨q,k⟩ of each token.
  var weights: [Double]
  var denominator: Double
  var numerator: [Double]
  var output: [Double] { numerator.map { $0 / denominator } }

  init(_ tokens: [Token], query: [Float]) {
    let weights = tokens.map { exp(dot($0.key, query)) }
    self.weights = weights
    denominator = weights.reduce(0, +)
    numerator = query.indices.map { index in
      zip(weights, tokens).reduce(0) { $0 + $1.0 * Double($1.1.value[index]) }
    }
  }
}

func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }

func distance(_ a: [Float], _ b: [Float]) -> Double {
  zip(a, b).reduce(0) { $0 + pow(Double($1.0) - Double($1.1), 2) }.squareRoot()
}

func length(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }

/// The chi-square statistic of counts against what is expected, cells that expect fewer than five put together.
func chiSquare(_ counts: [Int], expected: [Double]) -> (value: Double, degrees: Int) {
  var (value, cells) = (0.0, 0)
  var rest = (count: 0.0, expected: 0.0)
  for (count, expected) in zip(counts, expected) {
    if expected < 5 {
      rest.count += Double(count)
      rest.expected += expected
    } else {
      value += pow(Double(count) - expected, 2) / expected
      cells += 1
    }
  }
  if rest.expected >= 1 {
    value += pow(rest.count - rest.expected, 2) / rest.expected
    cells += 1
  }
  return (value, cells - 1)
}

/// What chi-square exceeds once in ten thousand times (Wilson and Hilferty).
func rareChiSquare(degrees: Int) -> Double {
  let part = 2 / (9 * Double(degrees))
  return Double(degrees) * pow(1 - part + 3.719 * part.squareRoot(), 3)
}
