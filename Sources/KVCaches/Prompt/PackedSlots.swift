import CLibrary
import Kernels

/// Keys and values of heads that hold different numbers of tokens, without gaps between the heads.
///
/// `[head](key panels | value rows)`, a head's slots rounded up to whole panels of 16; `head` counts through all layers. The
/// block neither grows nor shrinks. Where a slot may stand for several tokens, the block says for how many.
struct PackedSlots {
  /// The slots of one head.
  struct Span {
    /// Bytes of the block before the head's.
    var offset: Int
    /// Bytes of the head's keys.
    var keyBytes: Int
    /// The head's first slot, counted through all heads; a multiple of 16.
    var firstSlot: Int
    /// Tokens held.
    var count: Int
  }

  /// The largest count of any head.
  let largest: Int
  /// How far the tokens of each head are at most from those that stand for them, `[layer, KV head]`; empty where
  /// nothing stands for others, or nobody knows.
  var radii: [Float] = []
  private let memory: Buffer<UInt8>
  /// `[layer, KV head]`
  private let spans: Buffer<Span>
  /// The tokens that each slot stands for, nil where it is one, `[slot]`.
  private let represented: Buffer<Int64>?
  /// Their logarithms, `[slot]`.
  private let logWeights: Buffer<Float>?

  /// Empty slots for so many tokens, `[layer, KV head]`; for `centers` that stand for others where it says so.
  init(type: ElementType, headDim: Int, counts: [Int], centers: Prompt.Centers? = nil) {
    largest = counts.max() ?? 0
    spans = Buffer(count: counts.count)
    var (offset, slot) = (0, 0)
    for (head, count) in counts.enumerated() {
      let slots = StageStorage.slotsPerBlock(capacity: count)
      let keyBytes = SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
      spans.pointer[head] = Span(offset: offset, keyBytes: keyBytes, firstSlot: slot, count: count)
      offset += keyBytes + SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
      slot += slots
    }
    memory = Buffer(count: offset)
    represented = centers == nil ? nil : Buffer(count: slot)
    logWeights = centers == nil ? nil : Buffer(count: slot)
  }

  /// The slots of parts that follow each other, of `counts` tokens together, `[layer, KV head]`.
  init(joining parts: [PackedSlots], type: ElementType, headDim: Int, counts: [Int], centers: Prompt.Centers?) {
    self.init(type: type, headDim: headDim, counts: counts, centers: centers)
    var (offset, slot) = (0, 0)
    for part in parts {
      (memory.pointer + offset).update(from: part.memory.pointer, count: part.memory.count)
      offset += part.memory.count
      if let represented, let from = part.represented {
        (represented.pointer + slot).update(from: from.pointer, count: from.count)
        slot += from.count
      }
      radii += part.radii
    }
    for head in counts.indices { weigh(head: head) }
  }

  /// Bytes of the keys and values of so many tokens, `[layer, KV head]`.
  static func bytes(type: ElementType, headDim: Int, counts: [Int]) -> Int {
    counts.reduce(0) { total, count in
      let slots = StageStorage.slotsPerBlock(capacity: count)
      return total + SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
        + SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
    }
  }

  /// Bytes of what a slot takes beside its key and value, where it may stand for several tokens.
  static func bytesPerCount(_ centers: Prompt.Centers?) -> Int {
    centers == nil ? 0 : 8 + 4
  }

  var bytes: Int { memory.count + (represented?.count ?? 0) * 8 + (logWeights?.count ?? 0) * 4 }

  /// All keys and values.
  var contents: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(memory.elements) }

  /// The tokens that each slot of a head stands for, nil where it is one.
  func represented(head: Int) -> UnsafeMutableBufferPointer<Int64>? {
    guard let represented else { return nil }
    let span = spans.pointer[head]
    return UnsafeMutableBufferPointer(start: represented.pointer + span.firstSlot, count: span.count)
  }

  /// Gives the slots of a head the weight of the tokens that they stand for.
  func weigh(head: Int) {
    guard let logWeights, let represented = represented(head: head) else { return }
    let target = logWeights.pointer + spans.pointer[head].firstSlot
    for (slot, count) in represented.enumerated() { target[slot] = Float(log(Double(count))) }
  }

  /// Where the block lies.
  var block: StageStorage.Block {
    StageStorage.Block(
      base: memory.pointer, slots: largest, keyBytes: 0, headBytes: 0, spans: UnsafePointer(spans.pointer),
      logWeights: logWeights.map { UnsafePointer($0.pointer) })
  }
}
