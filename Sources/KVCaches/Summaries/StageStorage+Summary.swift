import Kernels

/// Slots of a summary: bounded, so that all lie in one block.
extension StageStorage {
  /// Forgets everything.
  func clear() {
    let block = block(0)
    block.base.update(repeating: 0, count: bytes)
  }

  /// Calls `body` with the bytes of one head's first `used` slots: keys, rounded up to whole panels, then values.
  func forEachUsed(_ used: Int, head: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    let bytes = bytes(head: head, block: 0)
    let ranges = usedRanges(slots: used)
    body(UnsafeMutableRawBufferPointer(rebasing: bytes[ranges.keys]))
    body(UnsafeMutableRawBufferPointer(rebasing: bytes[ranges.values]))
  }

  /// Appends one head's first `used` slots to a snapshot.
  func write(_ used: Int, head: Int, to writer: inout SnapshotWriter) {
    forEachUsed(used, head: head) { writer.write(UnsafeRawBufferPointer($0)) }
  }

  /// Takes up one head's first `used` slots from a snapshot.
  func read(_ used: Int, head: Int, from reader: inout SnapshotReader) throws(KVCacheError) {
    var expected = 0
    forEachUsed(used, head: head) { expected += $0.count }
    let payload = try reader.take(expected)
    var offset = 0
    forEachUsed(used, head: head) { target in
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: payload[offset..<offset + target.count]))
      offset += target.count
    }
  }
}

extension SnapshotWriter {
  /// Appends numbers as they lie in memory.
  mutating func write<Value: BitwiseCopyable>(_ values: UnsafePointer<Value>, count: Int) {
    write(UnsafeRawBufferPointer(start: values, count: count * MemoryLayout<Value>.stride))
  }
}

extension SnapshotReader {
  /// Takes numbers up as they lay in memory.
  mutating func read<Value: BitwiseCopyable>(
    into values: UnsafeMutablePointer<Value>, count: Int
  ) throws(KVCacheError) {
    let bytes = try take(count * MemoryLayout<Value>.stride)
    UnsafeMutableRawBufferPointer(start: values, count: bytes.count).copyMemory(from: bytes)
  }

  /// A count from 0 to `limit`.
  mutating func readCount(limit: Int) throws(KVCacheError) -> Int {
    let count = try read(Int64.self)
    guard (0...Int64(limit)).contains(count) else { throw .badSnapshot("\(count) tokens melted into \(limit)") }
    return Int(count)
  }
}

extension SlotStorage {
  /// The slots from `first`, a multiple of 16, on; keys alone.
  func droppingPanels(of first: Int) -> SlotStorage {
    let offset = SlotStorage.keyBytes(type: type, headDim: headDim, slots: first)
    return SlotStorage(type: type, headDim: headDim, slots: slots - first, keys: keys + offset, values: values)
  }
}

/// The part of `total` slots that one of several threads attends to, whole blocks of 64 as attention walks them.
func sharedRun(of total: Int, share: (index: Int, count: Int)) -> Range<Int> {
  let blocks = (total + 63) / 64
  let bound = { (index: Int) in min(total, blocks * index / share.count * 64) }
  return bound(share.index)..<bound(share.index + 1)
}
