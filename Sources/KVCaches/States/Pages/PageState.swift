import Kernels

/// How a token that comes alone reads only some pages of a stage.
struct PageReading: StateSpecification {
  /// Tokens read, a multiple of `page`.
  let budget: Int
  /// Tokens of a page.
  let page: Int
  /// The first layers, which read everything.
  let denseLayers: Int

  /// Pages read.
  var pages: Int { budget / page }
  /// Pages of a block of slots.
  var pagesPerBlock: Int { SlotGrowth.largestBlock / page }

  // Which pages are read depends on all heads of a group of queries, but on no other KV head.
  var partitions: Partitions { [.byHead, .byRequest] }

  func bytes(_ site: StateSite, tokens: Int) -> Int {
    let held = max(0, tokens - site.stages.compactMap(\.capacity).reduce(0, +))
    return SlotGrowth.even.blocks(slots: held) * PageState.blockCount(self, site) * 2
  }

  func makeState(_ site: StateSite) -> StageState { PageState(self, site) }
}

/// The smallest and the largest of each key dimension in every page of a growing stage.
///
/// A block of bounds stands beside each block of slots, `[place, panel of 16 pages, dim, (smallest | largest), page of the
/// panel]`, halves rounded outward: an eighth of the bytes of F16 keys with pages of 16. Heads of layers that read everything
/// have none. Bounds follow from the stored keys, so no snapshot contains them.
final class PageState: StageState {
  let reading: PageReading
  /// The first place of a head that has bounds.
  private let firstPlace: Int
  private var blocks: [Buffer<UInt16>] = []

  init(_ reading: PageReading, _ site: StateSite) {
    self.reading = reading
    firstPlace = Self.firstPlace(reading, site)
    super.init(site)
  }

  private static func firstPlace(_ reading: PageReading, _ site: StateSite) -> Int {
    site.heads.layers.first { $0.layer >= reading.denseLayers }?.places.lowerBound ?? site.count
  }

  /// Halves of one KV head in one block.
  private static func headCount(_ reading: PageReading, _ site: StateSite) -> Int {
    InstructionSet.pageBoundsCount(pages: reading.pagesPerBlock, headDim: site.headDim)
  }

  /// Halves of one block.
  static func blockCount(_ reading: PageReading, _ site: StateSite) -> Int {
    (site.count - firstPlace(reading, site)) * headCount(reading, site)
  }

  override var name: String { "pages" }
  override var isSaved: Bool { false }
  override var bytes: Int { blocks.reduce(0) { $0 + $1.count * 2 } }
  override func reset() { blocks = [] }

  /// Where the bounds of a block lie, without references.
  struct Block {
    let base: UnsafeMutablePointer<UInt16>
    let headCount: Int
    let firstPlace: Int

    /// The bounds of a head that has some.
    func bounds(place: Int) -> UnsafeMutablePointer<UInt16> {
      assert(place >= firstPlace, "a layer that reads everything has no bounds")
      return base + (place - firstPlace) * headCount
    }
  }

  func block(_ index: Int) -> Block {
    Block(base: blocks[index].pointer, headCount: Self.headCount(reading, site), firstPlace: firstPlace)
  }

  private func reserve(_ group: HeadGroup) {
    let count = group.slots.storages[group.slots.storages.count - 1].blockCount
    while blocks.count < count { blocks.append(Buffer(count: Self.blockCount(reading, site))) }
    blocks.removeLast(blocks.count - count)
  }

  override func begin(tokens: Int, of group: HeadGroup) { reserve(group) }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? PageReplay else { return PageReplay() }
    return old
  }

  override func needsAllLayers(of group: HeadGroup) -> Bool { true }

  override func didRestore(_ group: HeadGroup) { boundStored(group, .current) }

  override func didRollBack(_ group: HeadGroup) {
    boundStored(group, .current, from: group.ledger.stages[group.ledger.stages.count - 1].usedSlots)
  }

  /// Makes bounds anew from the keys as they are stored: of the page that holds a slot, and of those behind.
  func boundStored(_ group: HeadGroup, _ kernels: InstructionSet, from slot: Int = 0) {
    reserve(group)
    let storage = group.slots.storages[group.slots.storages.count - 1]
    let used = group.slots.usedSlots(ofStorage: group.slots.storages.count - 1, by: group.ledger.stages)
    let key = Buffer<Float>(count: site.headDim)
    let first = slot / reading.page * reading.page
    let firstBlock = storage.growth.place(ofSlot: first).block
    for block in firstBlock..<max(storage.blockCount, firstBlock) {
      let start = storage.growth.firstSlot(ofBlock: block)
      let last = storage.used(used, ofBlock: block)
      for place in firstPlace..<site.count {
        let (bounds, slots) = (self.block(block).bounds(place: place), storage.slots(head: place, block: block))
        for slot in min(max(0, first - start), last)..<last {
          kernels.readKey(slot, of: slots, to: key.pointer)
          kernels.widen(
            page: slot / reading.page, of: bounds, by: key.pointer, headDim: site.headDim,
            isFirst: slot % reading.page == 0)
        }
      }
    }
  }
}
