package import KVCaches
import Kernels

/// The rows of one step: chunks of any number of sequences, one after another.
///
/// Its buffers are made once, so filling it again allocates nothing once it has held as many sequences.
package final class Batch {
  /// The most rows.
  package let capacity: Int
  /// Whose rows they are, in order and without gaps.
  package private(set) var segments: [LocalAttention.Segment] = []
  private let ids: Buffer<Int32>
  private let wanted: Buffer<Int32>
  private var wantedCount = 0
  /// Rows so far.
  package private(set) var count = 0

  package init(capacity: Int) {
    precondition(capacity > 0)
    self.capacity = capacity
    ids = Buffer(count: capacity)
    wanted = Buffer(count: capacity)
  }

  /// The token of each row.
  package var tokens: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(start: ids.pointer, count: count) }

  /// The rows whose logits are wanted, ascending.
  package var logitRows: UnsafeBufferPointer<Int32> { UnsafeBufferPointer(start: wanted.pointer, count: wantedCount) }

  /// Rows that can be added.
  package var room: Int { capacity - count }

  /// Adds a chunk of a sequence.
  ///
  /// - Parameter logitRows: how many of its last rows are those whose logits are wanted
  /// - Precondition: there is room, the memory admits the chunk, and has no other in this batch.
  package func append(_ tokens: UnsafeBufferPointer<Int32>, memory: KVCache, logitRows: Int = 0) {
    precondition(!tokens.isEmpty && tokens.count <= room, "rows that the batch has no room for")
    precondition(logitRows <= tokens.count, "logits of rows that the chunk does not have")
    guard let first = tokens.baseAddress else { return }
    (ids.pointer + count).update(from: first, count: tokens.count)
    segments.append(LocalAttention.Segment(memory: memory, rows: count..<count + tokens.count))
    count += tokens.count
    for row in count - logitRows..<count {
      wanted.pointer[wantedCount] = Int32(row)
      wantedCount += 1
    }
  }

  /// Adds one token of a sequence.
  package func append(_ token: Int32, memory: KVCache, needsLogits: Bool = false) {
    withUnsafePointer(to: token) {
      append(UnsafeBufferPointer(start: $0, count: 1), memory: memory, logitRows: needsLogits ? 1 : 0)
    }
  }

  /// Lets go of all rows and of the memories they belong to.
  package func removeAll() {
    segments.removeAll(keepingCapacity: true)
    (count, wantedCount) = (0, 0)
  }
}
