package import Kernels

/// What a model asks of its memory in a step, local or remote alike.
///
/// For each layer a model calls `begin` with the queries as soon as it has them, so that memory elsewhere can start
/// to attend, `offer` with the keys and values of the same tokens, and `finish` when it needs the result. Between the last
/// two it does what the result is not needed for. Queries and keys come without positions: the memory knows where in the
/// cache they stand.
package protocol LayerAttention {
  /// Hands over the queries of one layer, `[token, query head, headDim]`.
  func begin(layer: Int, queries: UnsafePointer<Float>)

  /// Shows the keys and values as soon as they exist; they stay where they are until `finish`, which brings them again.
  /// Not called where the layer reads those of an earlier one.
  func offer(layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>)

  /// Attends, takes the new keys and values in, and writes the result.
  ///
  /// - Parameters:
  ///   - keys: `[token, KV head, headDim]`; nil where the layer reads those of an earlier one
  ///   - values: `[token, KV head, headDim]`; nil with the keys
  ///   - output: `[token, query head, headDim]`
  func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>)

  /// Convolves the rows of a layer with a recurrent state, each sequence's after what came before; `[token, channel]`.
  func convolve(
    layer: Int, _ convolution: Convolution, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>)

  /// Brings the rows of a layer with a recurrent state through the gated delta rule, each sequence from its own state.
  func applyDeltaRule(layer: Int, _ call: DeltaRuleCall)
}

extension LayerAttention {
  /// A memory in this process attends in `finish`.
  package func offer(layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {}

  package func convolve(
    layer: Int, _ convolution: Convolution, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) { preconditionFailure("no memory for layers with a recurrent state") }

  package func applyDeltaRule(layer: Int, _ call: DeltaRuleCall) {
    preconditionFailure("no memory for layers with a recurrent state")
  }
}

/// Memory of many sequences, and attention to it.
package protocol AttentionService<Memory>: LayerAttention {
  associatedtype Memory: SequenceMemory
  /// The way of one step through the layers.
  associatedtype Lane: LayerAttention = Self

  /// An empty memory for a new sequence.
  ///
  /// - Throws: `KVCacheError` where the plan does not fit the model.
  func makeMemory(_ plan: KVCache.Plan, slotType: KVCache.SlotType) throws(KVCacheError) -> Memory

  /// Decides what every sequence of a step reads and where its tokens go; layers follow.
  ///
  /// - Precondition: the rows of the segments follow each other from 0, and each memory admits its chunk.
  func beginStep(_ segments: [StepSegment<Memory>])

  /// Those that steps of different sequences can take at the same time, at least one.
  var lanes: [Lane] { get }

  /// Begins a step in each of the first lanes: while one waits for attention elsewhere, the others compute.
  ///
  /// - Precondition: that of `beginStep` for each, and no sequence has rows in two of them.
  func beginSteps(_ steps: [[StepSegment<Memory>]])

  /// Says that a sequence's prompt has ended, after its last token and before the first one of the answer, whose logits
  /// are thereby those of the full cache.
  func endPrompt(of memory: Memory)
}

/// A memory in this process attends at once, so one step at a time loses nothing.
extension AttentionService where Lane == Self {
  package var lanes: [Self] { [self] }

  package func beginSteps(_ steps: [[StepSegment<Memory>]]) {
    precondition(steps.count == 1, "more steps than lanes")
    beginStep(steps[0])
  }
}

/// A sequence's part of the rows of a step.
package struct StepSegment<Memory: SequenceMemory> {
  package let memory: Memory
  /// Rows of the batch.
  package let rows: Range<Int>

  package init(memory: Memory, rows: Range<Int>) {
    self.memory = memory
    self.rows = rows
  }
}

/// The memory of one sequence, wherever it is.
package protocol SequenceMemory: AnyObject {
  /// Tokens that ever entered.
  var tokenCount: Int64 { get }

  /// Bytes held now.
  var bytes: Int { get }

  /// What of them takes memory already.
  var takenBytes: Int { get }

  /// Why what it answers is not to be used, such as layers that never came; nil while all is well.
  var failure: KVCacheError? { get }

  /// Of so many tokens, how many the next chunk may have.
  func admissibleChunk(_ wanted: Int) -> Int

  /// Takes back the newest steps, as many as it takes for `tokens` tokens.
  ///
  /// - Returns: tokens taken back, more than asked for where they came in one step with others.
  /// - Throws: `KVCacheError` where so many cannot be taken back; nothing has changed then.
  func rollBack(tokens: Int) throws(KVCacheError) -> Int

  /// Everything that is remembered, in parts that can be kept and taken up one by one.
  func sections() -> [SectionName]
}
