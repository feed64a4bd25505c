import Kernels

/// Where the tokens of one head lie, in the order in which they came.
struct HeldSlots: @unchecked Sendable {
  /// The blocks in which they lie, oldest first.
  var slots: [SlotStorage]
  /// Tokens held in each of them.
  var counts: [Int]
  /// The tokens that those of the first block stand for, nil where each is one.
  var represented: UnsafeMutableBufferPointer<Int64>?

  var count: Int { counts.reduce(0, +) }

  /// Calls `body` with places of tokens, counted from the oldest and ascending, and where each lies.
  private func forEach(_ places: some Sequence<Int>, _ body: (_ place: Int, SlotStorage, _ slot: Int) -> Void) {
    var (block, first) = (0, 0)
    for place in places {
      while place - first >= counts[block] {
        first += counts[block]
        block += 1
      }
      body(place, slots[block], place - first)
    }
  }

  /// Keys as float32 slots of their own.
  struct Keys {
    let slots: SlotStorage
    private let memory: Buffer<Float>

    init(count: Int, headDim: Int) {
      memory = Buffer(count: SlotStorage.keyBytes(type: .float32, headDim: headDim, slots: count) / 4)
      // Nobody asks for values.
      slots = SlotStorage(
        type: .float32, headDim: headDim, slots: count, keys: memory.pointer, values: memory.pointer)
    }
  }

  /// The keys of some tokens.
  func keys(_ range: Range<Int>, _ kernels: InstructionSet) -> Keys {
    let keys = Keys(count: range.count, headDim: slots[0].headDim)
    let row = Buffer<Float>(count: slots[0].headDim)
    forEach(range) { place, storage, slot in
      kernels.readKey(slot, of: storage, to: row.pointer)
      kernels.writeKey(row.pointer, to: place - range.lowerBound, of: keys.slots)
    }
    return keys
  }

  /// Copies keys and values of some tokens, bit for bit.
  func copy(
    _ places: [Int], to target: SlotStorage, row: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    var next = 0
    forEach(places) { _, storage, slot in
      kernels.readKey(slot, of: storage, to: row)
      kernels.writeKey(row, to: next, of: target)
      kernels.readValue(slot, of: storage, to: row)
      kernels.writeValue(row, to: next, of: target)
      next += 1
    }
  }

  /// The tokens that one held stands for.
  private func weight(_ place: Int) -> Int64 {
    guard let represented, place < represented.count else { return 1 }
    return represented[place]
  }

  /// Counts the tokens that each of those kept stands for.
  func addUp(_ kept: KeptTokens, to counts: UnsafeMutableBufferPointer<Int64>) {
    counts.update(repeating: 0)
    for (place, representative) in kept.representatives.enumerated() where representative >= 0 {
      counts[Int(representative)] += weight(place)
    }
    // One that stands for nothing, not even itself, is broken; it still is one.
    for index in counts.indices where counts[index] == 0 { counts[index] = 1 }
  }
}
