import Kernels

/// The smallest and the largest of each key dimension in every page of a growing stage.
///
/// A block of bounds stands beside each block of slots, `[layer, KV head, panel of 16 pages, dim, (smallest | largest),
/// page of the panel]`, halves rounded outward: an eighth of the bytes of F16 keys with pages of 16. Layers that read
/// everything have none. Bounds follow from the stored keys, so no snapshot contains them.
struct PageBounds {
  let reading: PageReading
  private let shape: KVCache.Shape
  private var blocks: [Buffer<UInt16>] = []

  init(_ reading: PageReading, shape: KVCache.Shape) {
    self.reading = reading
    self.shape = shape
  }

  /// Halves of one KV head in one block.
  private static func headCount(_ reading: PageReading, _ shape: KVCache.Shape) -> Int {
    InstructionSet.pageBoundsCount(pages: reading.pagesPerBlock, headDim: shape.headDim)
  }

  private static func blockCount(_ reading: PageReading, _ shape: KVCache.Shape) -> Int {
    max(0, shape.layers - reading.denseLayers) * shape.keyValueHeads * headCount(reading, shape)
  }

  /// Bytes of the bounds beside one block of slots.
  static func blockBytes(_ reading: PageReading, shape: KVCache.Shape) -> Int { 2 * blockCount(reading, shape) }

  var bytes: Int { blocks.count * Self.blockBytes(reading, shape: shape) }

  /// Makes room for the pages of so many blocks of slots.
  mutating func reserve(blocks count: Int) {
    while blocks.count < count { blocks.append(Buffer(count: Self.blockCount(reading, shape))) }
  }

  /// Gives up the bounds of all blocks but the first so many.
  mutating func keep(blocks count: Int) { blocks.removeLast(max(0, blocks.count - count)) }

  /// Where the bounds of a block lie, without references.
  struct Block {
    let base: UnsafeMutablePointer<UInt16>
    let headCount: Int
    let firstLayer: Int
    let keyValueHeads: Int

    /// The bounds of one KV head of a layer that has some.
    func bounds(layer: Int, head: Int) -> UnsafeMutablePointer<UInt16> {
      assert(layer >= firstLayer, "a layer that reads everything has no bounds")
      return base + ((layer - firstLayer) * keyValueHeads + head) * headCount
    }
  }

  func block(_ index: Int) -> Block {
    Block(
      base: blocks[index].pointer, headCount: Self.headCount(reading, shape), firstLayer: reading.denseLayers,
      keyValueHeads: shape.keyValueHeads)
  }
}

extension KVCache {
  /// Makes the bounds of pages anew from the keys as they are stored: of the page that holds a slot, and of those behind.
  func boundStoredPages(_ kernels: InstructionSet, from slot: Int = 0) {
    guard let pageBounds, let place = places.last, pageBounds.reading.denseLayers < shape.layers else { return }
    let (storage, reading) = (storage[place.storage], pageBounds.reading)
    let used = usedSlots(of: place.storage, by: stages)
    let key = Buffer<Float>(count: shape.headDim)
    let first = slot / reading.page * reading.page
    for block in first / storage.slotsPerBlock..<max(storage.blockCount, first / storage.slotsPerBlock) {
      for layer in reading.denseLayers..<shape.layers {
        for head in 0..<shape.keyValueHeads {
          let bounds = pageBounds.block(block).bounds(layer: layer, head: head)
          let slots = storage.block(block).slots(
            head: layer * shape.keyValueHeads + head, type: storage.type, headDim: shape.headDim)
          let last = max(0, min(used - block * storage.slotsPerBlock, storage.slotsPerBlock))
          for slot in min(max(0, first - block * storage.slotsPerBlock), last)..<last {
            kernels.readKey(slot, of: slots, to: key.pointer)
            kernels.widen(
              page: slot / reading.page, of: bounds, by: key.pointer, headDim: shape.headDim,
              isFirst: slot % reading.page == 0)
          }
        }
      }
    }
  }
}
