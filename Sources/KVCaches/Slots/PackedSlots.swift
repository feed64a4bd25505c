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
  /// How far the tokens of each head are at most from those that stand for them, `[place]`; empty where
  /// nothing stands for others, or nobody knows.
  var radii: [Float] = []
  private let memory: Buffer<UInt8>
  /// `[place]`
  private let spans: Buffer<Span>
  /// The tokens that each slot stands for, nil where it is one, `[slot]`.
  private let represented: Buffer<Int64>?
  /// Their logarithms, `[slot]`.
  private let logWeights: Buffer<Float>?

  /// Empty slots for so many tokens, `[place]`; which count the tokens they stand for where `isCounted` says so.
  init(type: ElementType, headDim: Int, counts: [Int], isCounted: Bool = false) {
    largest = counts.max() ?? 0
    spans = Buffer(count: counts.count)
    var (offset, slot) = (0, 0)
    for (head, count) in counts.enumerated() {
      let slots = StageStorage.slots(capacity: count)
      let keyBytes = SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
      spans.pointer[head] = Span(offset: offset, keyBytes: keyBytes, firstSlot: slot, count: count)
      offset += keyBytes + SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
      slot += slots
    }
    memory = Buffer(count: offset)
    represented = isCounted ? Buffer(count: slot) : nil
    logWeights = isCounted ? Buffer(count: slot) : nil
  }

  /// The slots of parts that follow each other, of `counts` tokens together, `[place]`.
  init(joining parts: [PackedSlots], type: ElementType, headDim: Int, counts: [Int], isCounted: Bool) {
    self.init(type: type, headDim: headDim, counts: counts, isCounted: isCounted)
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

  /// Bytes of the keys and values of so many tokens, `[place]`.
  static func bytes(type: ElementType, headDim: Int, counts: [Int]) -> Int {
    counts.reduce(0) { total, count in
      let slots = StageStorage.slots(capacity: count)
      return total + SlotStorage.keyBytes(type: type, headDim: headDim, slots: slots)
        + SlotStorage.valueBytes(type: type, headDim: headDim, slots: slots)
    }
  }

  /// Bytes of what a slot takes beside its key and value, where it may stand for several tokens.
  static func bytesPerCount(isCounted: Bool) -> Int { isCounted ? 8 + 4 : 0 }

  var bytes: Int { memory.count + (represented?.count ?? 0) * 8 + (logWeights?.count ?? 0) * 4 }

  /// All keys and values of heads that follow each other.
  func contents(_ places: Range<Int>) -> UnsafeMutableRawBufferPointer {
    let first = spans.pointer[places.lowerBound].offset
    let last = places.upperBound < spans.count ? spans.pointer[places.upperBound].offset : memory.count
    return UnsafeMutableRawBufferPointer(start: memory.pointer + first, count: last - first)
  }

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
