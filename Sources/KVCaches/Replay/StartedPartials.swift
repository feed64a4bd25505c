import Kernels

/// Partials of stored slots for all rows of a step, from when its queries come until its keys do.
struct StartedPartials {
  /// The most rows of a step that are started.
  static let rowLimit = 64

  private var maximum = GrowingBuffer<Float>()
  private var sum = GrowingBuffer<Float>()
  private var output = GrowingBuffer<Float>()

  /// Makes room for some rows of queries.
  mutating func reserve(rows: Int, headDim: Int) {
    maximum.reserve(rows)
    sum.reserve(rows)
    output.reserve(rows * headDim)
  }

  /// Where the rows of a tile begin; tiles of a step do not overlap.
  private func first(_ tile: AttentionTask, _ replay: GroupReplay) -> Int {
    (replay.rows.lowerBound + tile.tokens.lowerBound) * replay.shape.queryHeads
      + tile.queryHeads.lowerBound * tile.tokens.count
  }

  func keep(_ partial: PartialAttention, of tile: AttentionTask, _ replay: GroupReplay) {
    let (first, rows, dim) = (first(tile, replay), tile.rows, replay.shape.headDim)
    (maximum.pointer + first).update(from: partial.maximum.pointer, count: rows)
    (sum.pointer + first).update(from: partial.sum.pointer, count: rows)
    (output.pointer + first * dim).update(from: partial.output.pointer, count: rows * dim)
  }

  func takeUp(_ partial: PartialAttention, of tile: AttentionTask, _ replay: GroupReplay) {
    let (first, rows, dim) = (first(tile, replay), tile.rows, replay.shape.headDim)
    partial.maximum.pointer.update(from: maximum.pointer + first, count: rows)
    partial.sum.pointer.update(from: sum.pointer + first, count: rows)
    partial.output.pointer.update(from: output.pointer + first * dim, count: rows * dim)
  }
}
