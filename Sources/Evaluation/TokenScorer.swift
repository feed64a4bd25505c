import Engine
import Kernels
import Synchronization

/// Negative log likelihoods of rows of logits.
struct TokenScorer {
  private let engine: InferenceEngine
  /// One result a row, in nats, `[row]`.
  private let results: Buffer<Float>

  init(engine: InferenceEngine) {
    self.engine = engine
    results = Buffer(count: engine.chunk)
  }

  /// Calls `body` with the negative log likelihood of each row's target, in order.
  ///
  /// - Parameters:
  ///   - rows: rows of the engine's last step
  ///   - targets: the token that follows each of these rows
  func score(rows: Range<Int>, targets: ArraySlice<Int32>, _ body: (Double) -> Void) {
    precondition(rows.count == targets.count)
    let vocabulary = engine.vocabularySize
    engine.forEachLogits(of: engine.rows(rows)) { block, logits in
      engine.team.parallelFor(block.count) { range in
        for index in range {
          let row = logits + index * vocabulary
          let target = targets[targets.startIndex + block.lowerBound + index]
          results.pointer[index] = engine.kernels.logSumExp(row, count: vocabulary) - row[Int(target)]
        }
      }
      for index in 0..<block.count { body(Double(results.pointer[index])) }
    }
  }
}
