import Kernels

/// Keys and values of heads that hold different numbers of tokens, without gaps between the heads.
///
/// `[head](key panels | value rows)`, a head's slots rounded up to whole panels of 16; `head` counts through all layers. The
/// block neither grows nor shrinks.
struct PackedSlots {
  /// The slots of one head.
  struct Span {
    /// Bytes of the block before the head's.
    var offset: Int
    /// Bytes of the head's keys.
    var keyBytes: Int
    /// Tokens held.
    var count: Int
  }

  /// The largest count of any head.
  let largest: Int
  private let memory: Buffer<UInt8>
  /// `[layer, KV head]`
  private let spans: Buffer<Span>

  /// Empty slots for so many tokens, `[layer, KV head]`.
  init(type: ElementType, headDim: Int, counts: [Int]) {
    largest = counts.max() ?? 0
    spans = Buffer(count: counts.count)
    var offset = 0
    for (head, count) in counts.enumerated() {
      let slots = StageStorage.slotsPerBlock(capacity: count)
      let keyBytes = SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
      spans.pointer[head] = Span(offset: offset, keyBytes: keyBytes, count: count)
      offset += keyBytes + SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
    }
    memory = Buffer(count: offset)
  }

  /// Bytes of the keys and values of so many tokens, `[layer, KV head]`.
  static func bytes(type: ElementType, headDim: Int, counts: [Int]) -> Int {
    counts.reduce(0) { total, count in
      let slots = StageStorage.slotsPerBlock(capacity: count)
      return total + SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
        + SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
    }
  }

  var bytes: Int { memory.count }

  /// All keys and values.
  var contents: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(memory.elements) }

  /// Where the block lies.
  var block: StageStorage.Block {
    StageStorage.Block(
      base: memory.pointer, slots: largest, keyBytes: 0, headBytes: 0, spans: UnsafePointer(spans.pointer))
  }
}
