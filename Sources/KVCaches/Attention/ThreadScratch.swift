import Kernels

/// The buffers of one thread of an attention step.
final class ThreadScratch {
  let partial: PartialAttention
  /// Queries of a task, rotated and scaled, `[token, head of the task, headDim]`.
  let queries: Buffer<Float>
  /// `[headDim]`
  let key: Buffer<Float>
  /// `[headDim]`
  let value: Buffer<Float>
  /// Which token each slot holds while scores decide.
  let origins = SlotOrigins()
  let turns: TurnAngles
  let kernelScratch: Buffer<Float>
  /// What a stage's summary works with.
  private(set) var summary = GrowingBuffer<Float>()
  /// The weights of a task that scores its slots, as the attention kernel keeps them.
  private var keptWeights = GrowingBuffer<Float>()
  /// ALiBi only: what is added to logits, `[slot]`.
  private var bias = GrowingBuffer<Float>()

  init(rows: Int, headDim: Int) {
    partial = PartialAttention(rows: rows, headDim: headDim)
    queries = Buffer(count: rows * headDim)
    key = Buffer(count: headDim)
    value = Buffer(count: headDim)
    turns = TurnAngles(headDim: headDim)
    kernelScratch = Buffer(count: InstructionSet.attentionScratch(rows: rows, headDim: headDim))
  }

  /// Makes room for the bias of every slot of a block.
  func reserveBias(slots: Int) { bias.reserve(slots) }

  /// Makes room for the decisions of a step in a cache that scores its tokens, and forgets the angles of the last one.
  func reserveSelection(slots: Int, keptFloats: Int) {
    origins.reserve(slots)
    keptWeights.reserve(keptFloats)
    turns.forget()
  }

  /// Makes room for the work of a stage's summary.
  func reserveSummary(_ floats: Int) { summary.reserve(floats) }

  /// Room for the weights of a task, as reserved.
  var kept: UnsafeMutablePointer<Float> { keptWeights.pointer }

  /// Sets the bias of a run of slots, `-slope × distance`; `distances` begins with the first of them.
  ///
  /// - Returns: the bias, `[slot]`.
  func setBias(slots: Range<Int>, distances: UnsafePointer<Float>, slope: Float) -> UnsafePointer<Float> {
    let target = bias.pointer + slots.lowerBound
    for index in 0..<slots.count { target[index] = -slope * distances[index] }
    return UnsafePointer(bias.pointer)
  }

  /// Attends with the task's queries to a run of slots, continuing the partial from row `firstRow` on.
  func attend(
    _ slots: SlotStorage, run: Range<Int>, rows: Int, group: Int, firstRow: Int,
    logWeights: UnsafePointer<Float>?,
    visibleFirst: UnsafePointer<Int32>?, visibleLast: UnsafePointer<Int32>?,
    keeping kept: UnsafeMutablePointer<Float>? = nil, asHalves: Bool = false, _ kernels: InstructionSet
  ) {
    kernels.attend(
      slots, run: run,
      queries: QueryRows(queries.pointer, stride: partial.headDim, count: rows, rowsPerToken: group),
      partial: partial.rows(from: firstRow), logWeights: logWeights,
      visibleFirst: visibleFirst, visibleLast: visibleLast, scratch: kernelScratch.pointer, keeping: kept,
      asHalves: asHalves)
  }
}
