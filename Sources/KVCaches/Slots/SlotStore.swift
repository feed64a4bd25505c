import Kernels

/// The slots of all stages of a head group.
///
/// Storage 0 holds the bounded stages, where there are some; each stage that grows has a storage of its own.
struct SlotStore {
  let type: ElementType
  let heads: Int
  let headDim: Int
  /// Which slots are stored.
  let share: SlotShare
  private(set) var storages: [StageStorage] = []
  /// Where the slots of each stage lie, `[stage]`.
  let places: [StagePlace]
  /// The most slots of all bounded stages together, but for those that hold more for a time.
  private let boundedCapacity: Int

  init(
    _ stages: [any StageSpecification], type: ElementType, heads: Int, headDim: Int, share: SlotShare = .all
  ) {
    (self.type, self.heads, self.headDim, self.share) = (type, heads, headDim, share)
    let bounded = stages.compactMap(\.capacity)
    boundedCapacity = bounded.reduce(0, +)
    if !bounded.isEmpty {
      storages.append(StageStorage(type: type, heads: heads, headDim: headDim, capacity: boundedCapacity, share: share))
    }
    let opens = stages.contains { $0.blueprint.opensForPrompt }
    var places: [StagePlace] = []
    var offset = 0
    for stage in stages {
      if let capacity = stage.capacity {
        places.append(
          StagePlace(storage: 0, offset: offset, growth: opens ? .bounded(.max) : storages[0].growth))
        offset += capacity
      } else {
        let growth = stage.blueprint.growth
        places.append(StagePlace(storage: storages.count, offset: 0, growth: growth))
        storages.append(StageStorage(type: type, heads: heads, headDim: headDim, growth: growth, share: share))
      }
    }
    self.places = places
  }

  /// The bytes of so many heads' slots of stages after `tokens` tokens, known without making them.
  static func bytes(
    _ stages: [any StageSpecification], type: ElementType, heads: Int, headDim: Int, tokens: Int
  ) -> Int {
    let headBytes = { StageStorage.headBytes(type: type, headDim: headDim, slots: $0) }
    let bounded = stages.compactMap(\.capacity).reduce(0, +)
    let held = stages.contains { $0.blueprint.opensForPrompt } ? tokens : 0
    var total = bounded > 0 ? headBytes(StageStorage.slots(capacity: bounded, used: held)) : 0
    if let growing = stages.last, growing.capacity == nil {
      let growth = growing.blueprint.growth
      for block in 0..<growth.blocks(slots: max(0, tokens - bounded)) {
        total += headBytes(growth.slots(ofBlock: block))
      }
    }
    return total * heads
  }

  var bytes: Int { storages.reduce(0) { $0 + $1.bytes } }

  /// The bytes that have been written, in whole pages: bounded stages take memory as they fill.
  func takenBytes(_ stages: [any Stage]) -> Int {
    guard let bounded = storages.first, case .bounded = bounded.growth, bounded.bytes >= Buffer<UInt8>.mappedFrom else {
      return bytes
    }
    var taken = 0
    for (stage, place) in zip(stages, places) where place.storage == 0 && stage.usedSlots > 0 {
      let written = StageStorage.headBytes(
        type: type, headDim: headDim, slots: StageStorage.slots(capacity: stage.usedSlots))
      // A head's keys and values each begin and end within a page.
      taken += heads * (written + 4 * 4096)
    }
    return bytes - bounded.bytes + min(taken, bounded.bytes)
  }

  /// The storage in which a stage lies.
  func storage(ofStage stage: Int) -> StageStorage { storages[places[stage].storage] }

  /// Slots of all bounded stages together, as they are stored.
  var boundedSlots: Int { storages[0].growth.slots(ofBlock: 0) }

  /// Makes room for what stages that grow use.
  mutating func reserve(_ stages: [any Stage]) {
    if !storages.isEmpty, case .bounded(let slots) = storages[0].growth {
      let used = usedSlots(ofStorage: 0, by: stages)
      if used > slots { resizeBounded(used: used, keeping: min(used, slots)) }
    }
    for (stage, place) in zip(stages, places) where stage.capacity == nil {
      storages[place.storage].reserve(slots: stage.usedSlots)
    }
  }

  /// Gives bounded stages the room that `used` slots take, and copies the first of them.
  private mutating func resizeBounded(used: Int, keeping kept: Int) {
    let slots = StageStorage.slots(capacity: boundedCapacity, used: used)
    storages[0] = storages[0].resized(slots: slots, used: kept)
  }

  /// Gives up blocks that hold no token any more.
  mutating func giveUpGrowth(_ stages: [any Stage]) {
    if !storages.isEmpty, case .bounded(let slots) = storages[0].growth {
      let used = usedSlots(ofStorage: 0, by: stages)
      if StageStorage.slots(capacity: boundedCapacity, used: used) < slots { resizeBounded(used: used, keeping: used) }
    }
    for (stage, place) in zip(stages, places) where stage.capacity == nil {
      storages[place.storage].keep(slots: stage.usedSlots)
    }
  }

  /// Forgets all that `stages` hold; bounded stages keep their memory, with zeros in it: what one conversation left would
  /// end up in the snapshots of the next, which save whole panels.
  mutating func reset(_ stages: [any Stage]) {
    for index in storages.indices { storages[index].clear(slots: usedSlots(ofStorage: index, by: stages)) }
    if !storages.isEmpty, case .bounded(let slots) = storages[0].growth,
      slots > StageStorage.slots(capacity: boundedCapacity)
    {
      resizeBounded(used: 0, keeping: 0)
    }
    for (stage, place) in zip(stages, places) where stage.capacity == nil {
      storages[place.storage] = StageStorage(
        type: type, heads: heads, headDim: headDim, growth: place.growth, share: share)
    }
  }

  /// Puts a packed block in the place of all that a stage holds.
  mutating func replace(stage: Int, with packed: PackedSlots) { storages[places[stage].storage].replace(with: packed) }

  /// Puts another storage, such as that of before a prompt was cut, in the place of the one in which a stage lies.
  mutating func restore(stage: Int, _ storage: StageStorage) { storages[places[stage].storage] = storage }

  /// One past the highest slot of a storage that ever held a token.
  func usedSlots(ofStorage storage: Int, by stages: [any Stage]) -> Int {
    var used = 0
    for (stage, place) in zip(stages, places) where place.storage == storage && stage.usedSlots > 0 {
      used = max(used, place.offset + stage.usedSlots)
    }
    return used
  }

  /// How many blocks there are, packed ones included, which a step counts through.
  var blockCount: Int { storages.reduce(0) { $0 + $1.blockCount + ($1.packed == nil ? 0 : 1) } }

  /// The number, in a step, of the first block of the storage in which a stage lies; a packed block stands before it.
  func firstBlock(ofStage stage: Int) -> Int {
    let storage = places[stage].storage
    var index = storages[storage].packed == nil ? 0 : 1
    for earlier in 0..<storage { index += storages[earlier].blockCount }
    return index
  }

  /// Where a slot of a stage lies, blocks counted as in a step.
  func place(ofSlot slot: Int, stage: Int) -> SlotPlace {
    let (block, place) = places[stage].growth.place(ofSlot: slot + places[stage].offset)
    return SlotPlace(block: firstBlock(ofStage: stage) + block, slot: place)
  }

  /// Calls `body` with all blocks, as a step counts them.
  func forEachBlock(_ body: (_ index: Int, StageStorage.Block) -> Void) {
    var index = 0
    for storage in storages {
      if let packed = storage.packed {
        body(index, packed.block)
        index += 1
      }
      for block in 0..<storage.blockCount {
        body(index, storage.block(block))
        index += 1
      }
    }
  }
}

/// A slot, by the number of its block in a step; block -1 is none.
struct SlotPlace: Sendable, Hashable {
  var block: Int
  var slot: Int

  static let none = SlotPlace(block: -1, slot: 0)
}
