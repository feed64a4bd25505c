import Kernels

/// Slots of a summary: bounded, so that all lie in one block.
extension StageStorage {
  /// Slots for the heads of a summary.
  init(_ site: StateSite, capacity: Int) {
    self.init(type: site.slotType.elementType, heads: site.count, headDim: site.headDim, capacity: capacity)
  }

  /// The bytes of such slots.
  static func bytes(_ site: StateSite, capacity: Int) -> Int {
    site.count * headBytes(type: site.slotType.elementType, headDim: site.headDim, slots: slots(capacity: capacity))
  }

  /// Forgets everything.
  func clear() { block(0).base.update(repeating: 0, count: bytes) }

  /// Appends one head's first `used` slots to a snapshot.
  func write(_ used: Int, head: Int, to writer: inout SectionWriter) {
    forEachUsedRange(used, head: head, block: 0) { writer.write(UnsafeRawBufferPointer($0)) }
  }

  /// Takes up one head's first `used` slots from a snapshot.
  func read(_ used: Int, head: Int, from reader: inout SectionReader) throws(KVCacheError) {
    var ranges: [UnsafeMutableRawBufferPointer] = []
    forEachUsedRange(used, head: head, block: 0) { ranges.append($0) }
    for range in ranges { try reader.read(into: range) }
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
func sharedRun(of total: Int, share: WorkShare) -> Range<Int> {
  let blocks = (total + 63) / 64
  let bound = { (index: Int) in min(total, blocks * index / share.count * 64) }
  return bound(share.index)..<bound(share.index + 1)
}
