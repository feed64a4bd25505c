import Kernels

/// The buffers of one thread of an attention step.
final class ThreadScratch {
  let partial: PartialAttention
  /// Queries of a tile, rotated and scaled, `[token, head of the group, headDim]`.
  let queries: Buffer<Float>
  /// `[headDim]`
  let key: Buffer<Float>
  /// `[headDim]`
  let value: Buffer<Float>
  /// Bounds of what each token of a tile sees of the chunk, `[token]`.
  let chunkFirst: Buffer<Int32>
  let chunkLast: Buffer<Int32>
  private let kernelScratch: Buffer<Float>

  init(rows: Int, headDim: Int) {
    partial = PartialAttention(rows: rows, headDim: headDim)
    queries = Buffer(count: rows * headDim)
    key = Buffer(count: headDim)
    value = Buffer(count: headDim)
    chunkFirst = Buffer(count: rows)
    chunkLast = Buffer(count: rows)
    kernelScratch = Buffer(count: InstructionSet.attentionScratch(rows: rows, headDim: headDim))
  }

  /// Empties the partials of a tile, or starts them from learned sink logits: row r belongs to query head
  /// `heads[r % heads.count]`.
  func reset(rows: Int, heads: Range<Int>, sinkLogits: UnsafePointer<Float>?) {
    guard let sinkLogits else { return partial.reset(rows: rows) }
    partial.reset(rows: rows) { sinkLogits[heads.lowerBound + $0 % heads.count] }
  }

  /// Attends with the tile's queries to a run of slots, continuing the partial from row `firstRow` on.
  func attend(
    _ slots: SlotStorage, run: Range<Int>, rows: Int, group: Int, firstRow: Int, visibleFirst: UnsafePointer<Int32>?,
    visibleLast: UnsafePointer<Int32>?, _ kernels: InstructionSet
  ) {
    kernels.attend(
      slots, run: run,
      queries: QueryRows(queries.pointer, stride: partial.headDim, count: rows, rowsPerToken: group),
      partial: partial.rows(from: firstRow), visibleFirst: visibleFirst, visibleLast: visibleLast,
      scratch: kernelScratch.pointer)
  }

  /// Copies a finished tile to its place in the output, `[token, query head, headDim]`.
  func store(
    _ task: LocalAttention.Task, of segment: LocalAttention.Segment, shape: KVCache.Shape,
    into output: UnsafeMutablePointer<Float>
  ) {
    let width = shape.groupSize * shape.headDim
    for index in 0..<task.tokens.count {
      let row = segment.rows.lowerBound + task.tokens.lowerBound + index
      (output + (row * shape.queryHeads * shape.headDim) + task.head * width)
        .update(from: partial.output.pointer + index * width, count: width)
    }
  }
}
