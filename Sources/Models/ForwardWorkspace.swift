import KVCaches
package import Kernels

/// The buffers of a forward pass, made once and reused for every step.
package final class ForwardWorkspace {
  /// The most tokens of a step.
  package let rows: Int
  /// The most rows that get logits at once.
  package let logitRows: Int
  package let arithmetic: Arithmetic
  package let kernels: InstructionSet

  /// The residual stream, `[token, hidden]`.
  package let hidden: Buffer<Float>
  /// What the projections of a layer read, `[token, hidden]`.
  let normed: Activations
  /// `[token, query head, headDim]`
  let queries: Buffer<Float>
  /// `[token, KV head, headDim]`
  let keys: Buffer<Float>
  /// `[token, KV head, headDim]`
  let values: Buffer<Float>
  /// `[token, query head, headDim]`
  let attended: Activations
  /// `[token, feed-forward]`
  let gate: Buffer<Float>
  /// `[token, feed-forward]`
  let up: Buffer<Float>
  /// `[token, feed-forward]`
  let activated: Activations
  /// What the adapters of a group of matrices make of its input, `[token, low-rank width]`.
  let lowRank: Buffer<Float>
  /// What the output matrix reads, `[row, hidden]`.
  let last: Activations
  /// `[row, vocabulary]`
  package let logits: Buffer<Float>

  /// Buffers for steps of at most `rows` tokens, of which `logitRows` get logits at once.
  package init(
    _ configuration: ModelConfiguration, rows: Int, logitRows: Int, arithmetic: Arithmetic, kernels: InstructionSet
  ) {
    precondition(rows > 0 && logitRows > 0)
    let (shape, hiddenSize) = (configuration.attention, configuration.hiddenSize)
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDim, shape.keyValueHeads * shape.headDim)
    self.rows = rows
    self.logitRows = logitRows
    self.arithmetic = arithmetic
    self.kernels = kernels
    hidden = Buffer(count: rows * hiddenSize)
    normed = Activations(capacity: rows, columns: hiddenSize)
    queries = Buffer(count: rows * queryWidth)
    keys = Buffer(count: rows * keyWidth)
    values = Buffer(count: rows * keyWidth)
    attended = Activations(capacity: rows, columns: queryWidth)
    gate = Buffer(count: rows * configuration.feedForwardSize)
    up = Buffer(count: rows * configuration.feedForwardSize)
    activated = Activations(capacity: rows, columns: configuration.feedForwardSize)
    lowRank = Buffer(count: max(rows, logitRows) * configuration.lowRankWidth)
    last = Activations(capacity: logitRows, columns: hiddenSize)
    logits = Buffer(count: logitRows * configuration.vocabularySize)
  }
}
