import Kernels

/// One head group's part in a step: the ledger's decisions in flat buffers, the chunk's own keys and values in slots, and
/// the replays of the group's states.
///
/// Replaying a layer neither allocates nor counts references. The buffers grow to the largest step seen.
final class GroupReplay {
  /// The heads of a layer of the group.
  let shape: HeadShape
  private var heads: StoredHeads
  /// Where each head is stored, `[model's layer, KV head]`.
  private var places: UnsafePointer<Int32>
  /// The place in the stream of the chunk's first token.
  private(set) var firstPosition: Int64 = 0
  /// The segment's rows of the batch; the first is token 0 of the chunk.
  private(set) var rows = 0..<0
  private(set) var type = ElementType.float32
  let readings = StepReadings()
  let positions: StepPositions
  let moves = PlannedMoves()
  /// The clock by which the group's absorbing state is read, its number and itself; nil where it has absorbed nothing.
  private(set) var stateClock: (index: Int, clock: StepPlan.QueryClock)?

  /// All blocks that the step reads or writes, the chunk's own last.
  private(set) var blocks = GrowingBuffer<StageStorage.Block>()
  /// The number of the chunk's own block.
  private(set) var chunkBlock = 0
  /// The most slots of any block, the chunk's own included.
  private(set) var largestBlock = 0
  /// Whether the chunk's own tokens, and learned sinks, are attended to here.
  private(set) var attendsChunk = true
  /// The chunk's keys and values as one block of slots, one layer at a time.
  private var chunkStorage: StageStorage?

  /// What the group's states do, in their order.
  private var replays: [LayerReplay] = []
  private(set) var roles: LayerReplay.Roles = []
  /// Who does what only one can do: the mechanism that has the role, or one that does nothing.
  private(set) var chooser: LayerReplay
  private(set) var keeper: LayerReplay
  private(set) var placer: LayerReplay
  private(set) var absorber: LayerReplay
  private let idle = LayerReplay()

  init(shape: HeadShape, heads: StoredHeads) {
    self.shape = shape
    self.heads = heads
    places = heads.table
    positions = StepPositions(headDim: shape.headDim)
    (chooser, keeper, placer, absorber) = (idle, idle, idle, idle)
  }

  /// Where a KV head of a layer is stored, or -1 where another group holds it.
  func place(layer: Int, head: Int) -> Int { Int(places[layer * shape.keyValueHeads + head]) }

  /// Whether the group holds a head of a layer.
  func holds(layer: Int) -> Bool {
    for head in 0..<shape.keyValueHeads where place(layer: layer, head: head) >= 0 { return true }
    return false
  }

  /// Whether a layer has no keys of its own, and reads those of an earlier one.
  func readsOthersKeys(layer: Int) -> Bool { readerNumber(layer: layer) > 0 }

  /// How many layers read the same keys before a layer does; 0 where they are its own.
  func readerNumber(layer: Int) -> Int { heads.readerNumber(layer: layer) }

  /// Query heads that one task attends with: those of a KV head, or one where each has a bias of its own.
  var headsPerTask: Int { positions.isLinearBias ? 1 : shape.groupSize }

  /// Takes over the decisions of the group's step.
  func prepare(_ group: HeadGroup, rows: Range<Int>, threads: Int) {
    let step = group.ledger.step
    self.rows = rows
    heads = group.heads
    places = heads.table
    firstPosition = step.clocks[0].first
    type = group.slotType.elementType
    prepareBlocks(group.slots)
    readings.prepare(step, group.slots, chunkBlock: chunkBlock, tokens: rows.count)
    positions.prepare(group.attention, step, tokens: rows.count)
    moves.prepare(step, group.slots, group.attention.positions)
    stateClock = step.stateReading.map { ($0.clock, step.clocks[$0.clock]) }
    prepareReplays(group, threads: threads)
  }

  private func prepareBlocks(_ slots: SlotStore) {
    if chunkStorage == nil || chunkStorage!.growth.slots(ofBlock: 0) < rows.count || chunkStorage!.type != type {
      chunkStorage = StageStorage(
        type: type, heads: shape.keyValueHeads, headDim: shape.headDim, capacity: rows.count)
    }
    chunkBlock = slots.blockCount
    attendsChunk = slots.share.isFirst
    blocks.reserve(chunkBlock + 1)
    slots.forEachBlock { blocks.pointer[$0] = $1 }
    blocks.pointer[chunkBlock] = chunkStorage!.block(0)
    largestBlock = slots.storages.reduce(chunkStorage!.largestBlock) { max($0, $1.largestBlock) }
  }

  private func prepareReplays(_ group: HeadGroup, threads: Int) {
    (chooser, keeper, placer, absorber) = (idle, idle, idle, idle)
    roles = []
    var count = 0
    for state in group.states {
      guard let replay = state.makeReplay(reusing: count < replays.count ? replays[count] : nil) else {
        continue
      }
      if count == replays.count {
        replays.append(replay)
      } else if replays[count] !== replay {
        replays[count] = replay
      }
      count += 1
      replay.prepare(group, self, threads: threads)
      let added = replay.roles
      roles.formUnion(added)
      if added.contains(.choosesRuns) { chooser = replay }
      if added.contains(.keepsWeights) { keeper = replay }
      if added.contains(.places) { placer = replay }
      if added.contains(.absorbs) { absorber = replay }
    }
    replays.removeLast(replays.count - count)
  }

  /// Calls `body` with each replay that has a role.
  @inline(__always)
  func forEach(_ role: LayerReplay.Roles, _ body: (LayerReplay) -> Void) {
    guard roles.contains(role) else { return }
    for replay in replays where replay.roles.contains(role) { body(replay) }
  }

  /// Floats of scratch that the replays want of each thread.
  var scratchFloats: Int { replays.reduce(0) { max($0, $1.scratchFloats) } }

  /// The slots of a head in a block.
  func slots(ofBlock block: Int, place: Int) -> SlotStorage {
    blocks.pointer[block].slots(head: place, type: type, headDim: shape.headDim)
  }

  /// Whether a slot is stored here.
  func stores(_ place: SlotPlace) -> Bool { place.slot < blocks.pointer[place.block].slots }

  /// Where a token's key or value begins among those of the batch.
  func keyValueOffset(token: Int, head: Int) -> Int {
    ((rows.lowerBound + token) * shape.keyValueHeads + head) * shape.headDim
  }

  /// Brings the key of a token of the chunk into `key`, rotated to its place in the stream; returns where its value is.
  func key(
    of token: Int, head: Int, _ call: LayerCall, to key: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> UnsafePointer<Float> {
    let offset = keyValueOffset(token: token, head: head)
    positions.rotate(call.keys + offset, into: key, heads: 1, clock: 0, token: token, kernels)
    return call.values + offset
  }

  /// Writes the keys and values of some chunk tokens into the chunk's own slots.
  func storeChunk(_ tokens: Range<Int>, _ call: LayerCall, _ scratch: ThreadScratch, _ kernels: InstructionSet) {
    let key = scratch.key.pointer
    for head in 0..<shape.keyValueHeads where place(layer: call.layer, head: head) >= 0 {
      let slots = slots(ofBlock: chunkBlock, place: head)
      for token in tokens {
        let value = self.key(of: token, head: head, call, to: key, kernels)
        kernels.writeKey(key, to: token, of: slots)
        kernels.writeValue(value, to: token, of: slots)
      }
    }
  }

  /// Whether the moves of a head may be shared out over threads.
  var movesAreIndependent: Bool { moves.areIndependent && roles.isDisjoint(with: .placesInOrder) }

  /// What becomes of a head's tokens after attention: they are seen as they came, then placed.
  ///
  /// - Parameter moves: all of the step's, or some where those are independent
  func place(
    head: Int, moves range: Range<Int>, _ call: LayerCall, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    forEach(.takesArrivals) { $0.arrive(head: head, call, self, scratch, kernels) }
    if roles.contains(.places) {
      placer.place(head: head, call, self, scratch, kernels)
    } else {
      moves.carryOut(range, head: head, self, call, scratch, kernels)
    }
  }

  /// Writes a key and a value to a slot, under the eyes of those who watch slots.
  ///
  /// - Parameters:
  ///   - origin: the chunk's token, or -2 − the slot in which the token lay before the step
  ///   - write: which of the step's writes it is in this head
  ///   - place: of the head
  func write(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, to target: SlotPlace, origin: Int, write: Int, layer: Int,
    place: Int, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {
    let slots = slots(ofBlock: target.block, place: place)
    let row = scratch.row.pointer
    forEach(.watchesSlots) { $0.willWrite(target, of: slots, write: write, place: place, row: row, kernels) }
    kernels.writeKey(key, to: target.slot, of: slots)
    kernels.writeValue(value, to: target.slot, of: slots)
    forEach(.watchesSlots) {
      $0.didWrite(target, of: slots, origin: origin, layer: layer, place: place, row: row, self, kernels)
    }
  }
}
