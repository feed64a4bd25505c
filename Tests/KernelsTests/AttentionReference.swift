import Foundation
import Kernels

/// Attention by definition, in Float64, over the slots as they read back.
struct AttentionReference {
  /// `[row, headDim]`
  var out: [Float] = []
  /// `[row]`
  var logSumExp: [Double] = []
  /// `[row][slot]`, probabilities after the softmax; zero outside the run.
  var probabilities: [[Double]] = []
}

/// How far attention may be from its reference.
struct AttentionTolerance {
  var output: Float
  var logSumExp: Double
  var probability: Float

  /// Float32 arithmetic throughout.
  static let exact = AttentionTolerance(output: 5e-6, logSumExp: 1e-5, probability: 5e-6)

  private init(output: Float, logSumExp: Double, probability: Float) {
    (self.output, self.logSumExp, self.probability) = (output, logSumExp, probability)
  }

  /// Where three heads or more share a key, AVX2 and AVX-512 round as they store: to 12 to 14 bits for F16, to bf16 for
  /// BF16 where the CPU multiplies such; weights of Q8_0 and Q4_1 to 15 bits.
  ///
  /// - Parameter scale: How much longer queries are than those whose logits have a variance of 1.
  init(_ type: ElementType, rowsPerToken: Int, scale: Float = 1, with instructions: InstructionSet) {
    self = .exact
    guard rowsPerToken >= 3, instructions.name.hasPrefix("avx") else { return }
    switch type {
    case .bfloat16 where instructions.name == "avx512bf16":
      self = AttentionTolerance(output: 0.02 * scale, logSumExp: 0.01 * Double(scale), probability: 0.01 * scale)
    case .float16:
      self = AttentionTolerance(output: 1.5e-3 * scale, logSumExp: 2e-3 * Double(scale), probability: 5e-4 * scale)
    case .q8_0: output = 7e-4
    case .q4_1: output = 1e-3
    default: break
    }
  }
}

func attentionReference(
  _ stage: Stage, run: Range<Int>, queries: [Float], rowsPerToken: Int, logWeights: [Float]? = nil,
  visible: [Range<Int>]? = nil
) -> AttentionReference {
  let dim = stage.storage.headDim
  let keys = run.map { stage.key($0).map(Double.init) }
  let values = run.map { stage.value($0).map(Double.init) }
  var result = AttentionReference()
  for row in 0..<queries.count / dim {
    let query = queryMeetingKeys(Array(queries[row * dim..<(row + 1) * dim]), of: stage.storage.type)
    let seen = run.clamped(to: visible?[row / rowsPerToken] ?? run)
    let logits = seen.map { slot in
      zip(query, keys[slot - run.lowerBound]).reduce(0) { $0 + $1.0 * $1.1 } + Double(logWeights?[slot] ?? 0)
    }
    let largest = logits.max() ?? -.infinity
    let weights = logits.map { largest == -.infinity ? 0 : exp($0 - largest) }
    let sum = weights.reduce(0, +)
    result.logSumExp.append(sum > 0 ? largest + log(sum) : -.infinity)
    var probabilities = [Double](repeating: 0, count: stage.storage.slots)
    for (slot, weight) in zip(seen, weights) where sum > 0 { probabilities[slot] = weight / sum }
    result.probabilities.append(probabilities)
    for index in 0..<dim {
      let weighted = zip(seen, weights).reduce(0.0) { $0 + $1.1 * values[$1.0 - run.lowerBound][index] }
      result.out.append(sum > 0 ? Float(weighted / sum) : 0)
    }
  }
  return result
}

/// A query as the keys meet it: quantised slots see int8 per 32 dims, rounded to nearest even of 127 x / largest.
private func queryMeetingKeys(_ query: [Float], of type: ElementType) -> [Double] {
  guard type.blockSize == 32 else { return query.map(Double.init) }
  return stride(from: 0, to: query.count, by: 32).flatMap { start in
    let block = query[start..<start + 32]
    let largest = block.map(abs).max()!
    guard largest > 0 else { return [Double](repeating: 0, count: 32) }
    return block.map { Double(($0 * (127 / largest)).rounded(.toNearestOrEven)) * Double(largest / 127) }
  }
}
