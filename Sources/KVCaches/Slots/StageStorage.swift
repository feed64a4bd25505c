import Kernels

/// Where the slots of a stage lie.
package struct StagePlace: Sendable {
  /// Index of the storage in the group's `SlotStore`.
  var storage: Int
  /// Slots of other stages before the stage's own.
  var offset: Int
  /// How the storage is divided into blocks; one without end where bounded stages may hold more for a time.
  var growth: SlotGrowth
}

/// Keys and values of stages, in blocks of slots that are never moved or reallocated: but for bounded stages that hold more
/// until a prompt has ended, whose block is replaced by a larger one between two steps.
///
/// All bounded stages of a cache share one block, one behind the other, so that while nothing was evicted their slots are
/// one run, the same as in a cache that keeps everything. A block is `[place of head, (key panels | value rows)]`: keys
/// stand in panels of 16 slots (the layout of weight matrices, so that one kernel family reads both), values one row of
/// `headDim` a slot.
struct StageStorage {
  let type: ElementType
  /// Heads, and dimensions of each.
  let heads: Int
  let headDim: Int
  let growth: SlotGrowth
  /// Which blocks are stored; the others have no slots.
  let share: SlotShare
  private var blocks: [Buffer<UInt8>] = []
  /// A block in front of the others in which heads hold different numbers of tokens.
  private(set) var packed: PackedSlots?

  /// Storage that is allocated at once where it is bounded, else block by block.
  init(type: ElementType, heads: Int, headDim: Int, growth: SlotGrowth, share: SlotShare = .all) {
    (self.type, self.heads, self.headDim, self.growth, self.share) = (type, heads, headDim, growth, share)
    if case .bounded = growth { addBlock() }
  }

  /// Storage of so many slots, rounded up to whole panels, allocated at once.
  init(type: ElementType, heads: Int, headDim: Int, capacity: Int, share: SlotShare = .all) {
    self.init(
      type: type, heads: heads, headDim: headDim, growth: .bounded(Self.slots(capacity: capacity)), share: share)
  }

  /// Slots of a bounded block: whole panels of 16.
  static func slots(capacity: Int) -> Int { (capacity + 15) / 16 * 16 }

  /// Slots of the block of stages that are bounded to `capacity` and hold `used` slots now: half as many again, time after
  /// time, until there is room.
  static func slots(capacity: Int, used: Int) -> Int {
    var slots = slots(capacity: capacity)
    while slots < used { slots = Self.slots(capacity: slots + slots / 2) }
    return slots
  }

  /// The first `used` slots in a bounded block of another size.
  func resized(slots: Int, used: Int) -> StageStorage {
    let other = StageStorage(type: type, heads: heads, headDim: headDim, growth: .bounded(slots), share: share)
    for head in 0..<heads {
      var sources: [UnsafeMutableRawBufferPointer] = []
      forEachUsedRange(used, head: head, block: 0) { sources.append($0) }
      var next = 0
      other.forEachUsedRange(used, head: head, block: 0) {
        $0.copyMemory(from: UnsafeRawBufferPointer(sources[next]))
        next += 1
      }
    }
    return other
  }

  /// Bytes of one head's keys and values.
  static func headBytes(type: ElementType, headDim: Int, slots: Int) -> Int {
    SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
      + SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
  }

  private func headBytes(ofBlock block: Int) -> Int {
    Self.headBytes(type: type, headDim: headDim, slots: growth.slots(ofBlock: block))
  }

  private func keyBytes(ofBlock block: Int) -> Int {
    SlotStorage.keyBytes(type: type, headDim: headDim, slots: growth.slots(ofBlock: block))
  }

  var bytes: Int { blocks.reduce(packed?.bytes ?? 0) { $0 + $1.count } }
  /// Blocks; a packed block is not counted.
  var blockCount: Int { blocks.count }
  /// The most slots of any block.
  var largestBlock: Int { blocks.isEmpty ? 0 : growth.slots(ofBlock: blocks.count - 1) }

  private mutating func addBlock() {
    let isKept = share.keeps(block: blocks.count, of: growth)
    blocks.append(Buffer(count: isKept ? heads * headBytes(ofBlock: blocks.count) : 0, sparse: true))
  }

  /// Makes room for slots up to `slots`.
  mutating func reserve(slots: Int) {
    while blocks.count < growth.blocks(slots: slots) { addBlock() }
  }

  /// Gives up the blocks behind the first `slots` slots.
  mutating func keep(slots: Int) { blocks.removeLast(max(0, blocks.count - growth.blocks(slots: slots))) }

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
    /// Of a packed block where each head's slots lie, `[place of head]`; else nil.
    var spans: UnsafePointer<PackedSlots.Span>?
    /// Of a packed block what is added to the logits of all its slots, where they stand for several tokens; else nil.
    var logWeights: UnsafePointer<Float>?

    /// What is added to the logits of a head's slots, nil for nothing.
    func logWeights(head: Int) -> UnsafePointer<Float>? {
      guard let spans, let logWeights else { return nil }
      return logWeights + spans[head].firstSlot
    }

    /// The slots of one head, by its place.
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
    Block(
      base: blocks[index].pointer, slots: share.keeps(block: index, of: growth) ? growth.slots(ofBlock: index) : 0,
      keyBytes: keyBytes(ofBlock: index),
      headBytes: headBytes(ofBlock: index))
  }

  /// The slots of one head in a block.
  func slots(head: Int, block: Int) -> SlotStorage { self.block(block).slots(head: head, type: type, headDim: headDim) }

  /// Calls `body` with the bytes of one head's first `used` slots of a block: keys, rounded up to whole panels, then values.
  func forEachUsedRange(_ used: Int, head: Int, block: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    guard share.keeps(block: block, of: growth) else { return }
    let base = blocks[block].pointer + head * headBytes(ofBlock: block)
    let keys = SlotStorage.keyBytes(type: type, headDim: headDim, slots: used)
    let values = SlotStorage.valueBytes(type: type, headDim: headDim, slots: used)
    body(UnsafeMutableRawBufferPointer(start: base, count: keys))
    body(UnsafeMutableRawBufferPointer(start: base + keyBytes(ofBlock: block), count: values))
  }

  /// How many of the first `slots` slots lie in a block.
  func used(_ slots: Int, ofBlock block: Int) -> Int {
    max(0, min(slots - growth.firstSlot(ofBlock: block), growth.slots(ofBlock: block)))
  }

  /// Forgets everything that the first `slots` slots hold.
  func clear(slots: Int) {
    for block in 0..<blockCount where used(slots, ofBlock: block) > 0 {
      for head in 0..<heads {
        forEachUsedRange(used(slots, ofBlock: block), head: head, block: block) {
          $0.initializeMemory(as: UInt8.self, repeating: 0)
        }
      }
    }
  }
}
