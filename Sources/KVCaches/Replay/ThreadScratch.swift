import Kernels

/// The buffers of one thread of an attention step.
final class ThreadScratch {
  /// Index of the thread in its team.
  let thread: Int
  let partial: PartialAttention
  /// Queries of a task, rotated and scaled, `[token, head of the task, headDim]`.
  let queries: Buffer<Float>
  /// `[headDim]`
  let key: Buffer<Float>
  /// `[headDim]`
  let value: Buffer<Float>
  /// Room for a key or value on its way, `[headDim]`.
  let row: Buffer<Float>
  let kernelScratch: Buffer<Float>
  /// What mechanisms work with.
  private var work = GrowingBuffer<Float>()
  /// The weights of a task whose columns are added up, as the attention kernel keeps them.
  private var keptWeights = GrowingBuffer<Float>()
  /// ALiBi only: what is added to logits, `[slot]`.
  private var bias = GrowingBuffer<Float>()

  init(thread: Int, rows: Int, headDim: Int) {
    self.thread = thread
    partial = PartialAttention(rows: rows, headDim: headDim)
    queries = Buffer(count: rows * headDim)
    key = Buffer(count: headDim)
    value = Buffer(count: headDim)
    row = Buffer(count: headDim)
    kernelScratch = Buffer(count: InstructionSet.attentionScratch(rows: rows, headDim: headDim))
  }

  /// Makes room for the bias of every slot of a block.
  func reserveBias(slots: Int) { bias.reserve(slots) }

  /// Makes room for weights of so many floats.
  func reserveKept(_ floats: Int) { keptWeights.reserve(floats) }

  /// Makes room for what mechanisms work with.
  func reserveWork(_ floats: Int) { work.reserve(floats) }

  /// Room for the weights of a task, as reserved.
  var kept: UnsafeMutablePointer<Float> { keptWeights.pointer }

  /// Room for what a mechanism works with, as reserved.
  var floats: UnsafeMutablePointer<Float> { work.pointer }

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
    _ slots: SlotStorage, run: Range<Int>, rows: Int, group: Int, softCap: Float, firstRow: Int,
    logWeights: UnsafePointer<Float>?,
    visibleFirst: UnsafePointer<Int32>?, visibleLast: UnsafePointer<Int32>?,
    keeping kept: UnsafeMutablePointer<Float>? = nil, asHalves: Bool = false, _ kernels: InstructionSet
  ) {
    kernels.attend(
      slots, run: run,
      queries: QueryRows(
        queries.pointer, stride: partial.headDim, count: rows, rowsPerToken: group, softCap: softCap),
      partial: partial.rows(from: firstRow), logWeights: logWeights,
      visibleFirst: visibleFirst, visibleLast: visibleLast, scratch: kernelScratch.pointer, keeping: kept,
      asHalves: asHalves)
  }
}
