import Kernels

/// Where the slots of a stage lie.
struct StagePlace: Sendable {
  /// Index of the storage in `KVCache.storage`.
  var storage: Int
  /// Slots of other stages before the stage's own.
  var offset: Int
  /// Slots of a block of the storage.
  var slotsPerBlock: Int
}

/// Keys and values of stages, in blocks of slots that are never moved or reallocated.
///
/// All bounded stages of a cache share one block, one behind the other, so that while nothing was evicted their slots are
/// one run, the same as in a cache that keeps everything. A growing stage gets a block of 1,024 slots at a time. A block is
/// `[layer, KV head, (key panels | value rows)]`: keys stand in panels of 16 slots (the layout of weight matrices, so
/// that one kernel family reads both), values one row of `headDim` a slot.
struct StageStorage {
  static let growthSlots = 1024

  let type: ElementType
  let shape: KVCache.Shape
  /// Slots of a block, a multiple of 16.
  let slotsPerBlock: Int
  private let keyBytes: Int
  private let headBytes: Int
  private var blocks: [Buffer<UInt8>] = []
  /// A block in front of the others in which heads hold different numbers of tokens.
  private(set) var packed: PackedSlots?

  /// Storage of bounded stages of so many slots together, allocated at once, or (nil) of a growing one.
  init(type: ElementType, shape: KVCache.Shape, capacity: Int?) {
    self.type = type
    self.shape = shape
    slotsPerBlock = Self.slotsPerBlock(capacity: capacity)
    keyBytes = SlotStorage.keyBytes(type: type, headDim: shape.headDim, slots: slotsPerBlock)
    headBytes = keyBytes + SlotStorage.valueBytes(type: type, headDim: shape.headDim, slots: slotsPerBlock)
    if capacity != nil { addBlock() }
  }

  static func slotsPerBlock(capacity: Int?) -> Int { ((capacity ?? growthSlots) + 15) / 16 * 16 }

  /// Bytes of one block.
  static func blockBytes(type: ElementType, shape: KVCache.Shape, capacity: Int?) -> Int {
    let slots = slotsPerBlock(capacity: capacity)
    return shape.layers * shape.keyValueHeads
      * (SlotStorage.keyBytes(type: type, headDim: shape.headDim, slots: slots)
        + SlotStorage.valueBytes(type: type, headDim: shape.headDim, slots: slots))
  }

  var bytes: Int { blocks.count * shape.layers * shape.keyValueHeads * headBytes + (packed?.bytes ?? 0) }
  /// Blocks of `slotsPerBlock` slots; a packed block is not counted.
  var blockCount: Int { blocks.count }

  private mutating func addBlock() {
    let block = Buffer<UInt8>(count: shape.layers * shape.keyValueHeads * headBytes)
    blocks.append(block)
  }

  /// Makes room for slots up to `slots`.
  mutating func reserve(slots: Int) {
    while blocks.count * slotsPerBlock < slots { addBlock() }
  }

  /// Gives up the blocks behind the first `slots` slots.
  mutating func keep(slots: Int) {
    blocks.removeLast(max(0, blocks.count - (slots + slotsPerBlock - 1) / slotsPerBlock))
  }

  /// Gives up everything for a packed block.
  mutating func replace(with packed: PackedSlots) {
    blocks = []
    self.packed = packed
  }

  /// Where a block lies: all that a layer's replay needs, without references.
  struct Block {
    let base: UnsafeMutablePointer<UInt8>
    let slots: Int
    let keyBytes: Int
    let headBytes: Int
    /// Of a packed block where each head's slots lie, `[layer, KV head]`; else nil.
    var spans: UnsafePointer<PackedSlots.Span>?
    /// Of a packed block what is added to the logits of all its slots, where they stand for several tokens; else nil.
    var logWeights: UnsafePointer<Float>?

    /// What is added to the logits of a head's slots, nil for nothing; `head` counts through all layers.
    func logWeights(head: Int) -> UnsafePointer<Float>? {
      guard let spans, let logWeights else { return nil }
      return logWeights + spans[head].firstSlot
    }

    /// The slots of one KV head; `head` counts through all layers, `layer * KV heads + KV head`.
    func slots(head: Int, type: ElementType, headDim: Int) -> SlotStorage {
      if let spans {
        let keys = UnsafeMutableRawPointer(base + spans[head].offset)
        return SlotStorage(
          type: type, headDim: headDim, slots: spans[head].count, keys: keys, values: keys + spans[head].keyBytes)
      }
      let keys = UnsafeMutableRawPointer(base + head * headBytes)
      return SlotStorage(type: type, headDim: headDim, slots: slots, keys: keys, values: keys + keyBytes)
    }
  }

  func block(_ index: Int) -> Block {
    Block(base: blocks[index].pointer, slots: slotsPerBlock, keyBytes: keyBytes, headBytes: headBytes)
  }

  /// The raw bytes of one KV head in one block, keys then values; `head` counts through all layers.
  func bytes(head: Int, block: Int) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: blocks[block].pointer + head * headBytes, count: headBytes)
  }

  /// The parts of `bytes(head:block:)` that hold the first `slots` slots.
  func usedRanges(slots: Int) -> (keys: Range<Int>, values: Range<Int>) {
    let keys = SlotStorage.keyBytes(type: type, headDim: shape.headDim, slots: slots)
    let values = SlotStorage.valueBytes(type: type, headDim: shape.headDim, slots: slots)
    return (0..<keys, keyBytes..<keyBytes + values)
  }
}
