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
  /// `[row, vocabulary]`
  package let logits: Buffer<Float>
  /// What the adapters of a group of matrices make of its input, `[token, low-rank width]`.
  let lowRank: Buffer<Float>
  /// Where each buffer of the plan begins, `[row, width]`.
  let pointers: Buffer<UnsafeMutablePointer<Float>>
  /// Those that matrices read.
  let activations: [Activations?]
  /// Where experts are mixed; nil where there are none.
  let experts: ExpertWorkspace?
  private let floats: [Buffer<Float>]

  /// Buffers for steps of at most `rows` tokens, of which `logitRows` get logits at once.
  package init(_ plan: BufferPlan, rows: Int, logitRows: Int, arithmetic: Arithmetic, kernels: InstructionSet) {
    precondition(rows > 0 && logitRows > 0)
    self.rows = rows
    self.logitRows = logitRows
    self.arithmetic = arithmetic
    self.kernels = kernels
    let count = { (entry: BufferPlan.Entry) in entry.isForLogits ? logitRows : rows }
    activations = plan.entries.map {
      $0.feedsProducts ? Activations(capacity: count($0), columns: $0.width) : nil
    }
    floats = zip(plan.entries, activations).map { $1?.values ?? Buffer(count: count($0) * $0.width) }
    pointers = Buffer(count: floats.count)
    for (index, buffer) in floats.enumerated() { pointers[index] = buffer.pointer }
    hidden = floats[BufferPlan.hidden]
    logits = floats[plan.logits]
    lowRank = Buffer(count: max(rows, logitRows) * plan.lowRankWidth)
    experts = plan.experts.map { ExpertWorkspace($0, rows: rows) }
  }
}
