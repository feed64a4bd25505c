/// The decisions for one chunk of one sequence: what its queries read, and where its tokens go.
///
/// Made once per chunk from counters alone, replayed for every layer and KV head. The arrays keep their capacity from
/// step to step.
package struct StepPlan: Sendable {
  /// A query clock: token r of the chunk reads with its query rotated to position `min(first + r, limit)`, or to the mean
  /// of that and of `spread` positions behind it.
  package struct QueryClock: Sendable, Hashable {
    package var first: Int64
    package var limit: Int64
    package var spread: Int64

    package init(first: Int64, limit: Int64 = .max, spread: Int64 = 0) {
      self.first = first
      self.limit = limit
      self.spread = spread
    }

    package func position(_ token: Int) -> Int64 { min(first + Int64(token), limit) }
  }

  /// A run of slots of one stage that the chunk reads.
  package struct Reading: Sendable, Hashable {
    package var stage: Int
    /// The run is `slots` of block `block` of the storage in which the stage lies; -1 is its packed block, of which a head
    /// reads as many slots as it holds.
    package var block: Int
    package var slots: Range<Int>
    /// Index into `clocks`.
    package var clock: Int
    /// Offset of this run's bounds in `visibleFirst` and `visibleLast` (one per token of the chunk), or nil where all
    /// tokens see all of it.
    package var visible: Int?
    /// Offset of this run's distances in `distances`, one a slot of the run, where they were measured.
    package var distances: Int?
  }

  /// That the chunk reads what the state of a stage has absorbed.
  package struct StateReading: Sendable, Hashable {
    package var stage: Int
    /// Index into `clocks`.
    package var clock: Int
  }

  /// One key and value that go into a slot, or are absorbed.
  package struct Move: Sendable, Hashable {
    package enum Source: Sendable, Hashable {
      case chunk(token: Int)
      case slot(stage: Int, slot: Int, clock: Int64)
    }
    package var source: Source
    package var stage: Int
    /// The slot of the stage, or nil where its state absorbs the token.
    package var slot: Int?
    package var clock: Int64
  }

  /// One step of a token's way through the stages, where heads decide which tokens win.
  ///
  /// The placements of one token follow each other: each takes what the one before let fall.
  package struct Placement: Sendable, Hashable {
    /// The chunk's token whose coming causes it.
    package var token: Int
    package var stage: Int
    package var acceptance: Acceptance
  }

  /// Where the chunk's tokens stand in the cache: how many tokens held apart each reads before itself, or in the
  /// stream where the plan
  /// keeps places there.
  package private(set) var position = QueryClock(first: 0)
  package private(set) var clocks: [QueryClock] = []
  package private(set) var readings: [Reading] = []
  package private(set) var stateReading: StateReading?
  package private(set) var visibleFirst: [Int32] = []
  package private(set) var visibleLast: [Int32] = []
  /// From keys to the position of the chunk's first token, slot by slot of measured readings.
  package private(set) var distances: [Float] = []
  /// Where tokens go, where they go to the same slots in every head.
  package private(set) var moves: [Move] = []
  /// Where tokens go, where each head decides which token a placement moves.
  package private(set) var placements: [Placement] = []
  /// Whether moves may run in any order: every source is a chunk token and no slot is written twice.
  package private(set) var movesAreIndependent = true
  /// The first chunk token that chunk token r reads is r plus this, where that is positive.
  package private(set) var chunkOffset = 0
  /// Where the slots of each stage lie.
  let places: [StagePlace]

  init(places: [StagePlace]) { self.places = places }

  /// Forgets the last chunk's decisions.
  mutating func reset(chunkOffset: Int, position: QueryClock) {
    (self.chunkOffset, self.position) = (chunkOffset, position)
    clocks.removeAll(keepingCapacity: true)
    readings.removeAll(keepingCapacity: true)
    stateReading = nil
    visibleFirst.removeAll(keepingCapacity: true)
    visibleLast.removeAll(keepingCapacity: true)
    distances.removeAll(keepingCapacity: true)
    moves.removeAll(keepingCapacity: true)
    placements.removeAll(keepingCapacity: true)
    movesAreIndependent = true
  }

  /// The first token of the chunk that token `token` of the chunk reads; the last one is itself.
  func firstVisibleChunkToken(_ token: Int) -> Int { max(0, token + chunkOffset) }

  mutating func append(_ move: Move) { moves.append(move) }
  mutating func append(_ placement: Placement) { placements.append(placement) }

  /// Puts the moves of one token, from index `first` on, into an order in which no slot is overwritten before it is
  /// read: the token that fell furthest moves first.
  mutating func orderMoves(from first: Int, slotsMayRepeat: Bool) {
    // Reversing a slice would copy the array.
    for index in 0..<(moves.count - first) / 2 { moves.swapAt(first + index, moves.count - 1 - index) }
    if slotsMayRepeat || moves.count - first > 1 { movesAreIndependent = false }
  }

  /// The index of a query clock, added where it is new.
  package mutating func index(of clock: QueryClock) -> Int {
    if let index = clocks.firstIndex(of: clock) { return index }
    clocks.append(clock)
    return clocks.count - 1
  }

  /// Adds a run of slots that every token of the chunk reads whole.
  package mutating func read(stage: Int, slots: Range<Int>, clock: QueryClock) {
    guard !slots.isEmpty else { return }
    let clock = index(of: clock)
    let place = places[stage]
    var next = slots.lowerBound + place.offset
    let last = slots.upperBound + place.offset
    while next < last {
      let (block, slot) = place.growth.place(ofSlot: next)
      let run = slot..<min(slot + last - next, place.growth.slots(ofBlock: block))
      readings.append(Reading(stage: stage, block: block, slots: run, clock: clock, visible: nil))
      next += run.count
    }
  }

  /// Adds the packed block of a stage, whose fullest head holds `slots` tokens, which every token of the chunk reads whole.
  mutating func readPacked(stage: Int, slots: Int, clock: QueryClock) {
    guard slots > 0 else { return }
    readings.append(Reading(stage: stage, block: -1, slots: 0..<slots, clock: index(of: clock), visible: nil))
  }

  /// Adds a run of slots of a bounded stage of which token r sees only those from `first(r)` on.
  package mutating func read(
    stage: Int, slots: Range<Int>, clock: QueryClock, chunk: Int, visibleFrom first: (Int) -> Int
  ) {
    let slots = min(max(slots.lowerBound, first(0)), slots.upperBound)..<slots.upperBound
    guard !slots.isEmpty else { return }
    if first(chunk - 1) <= slots.lowerBound {
      read(stage: stage, slots: slots, clock: clock)
      return
    }
    let clock = index(of: clock)
    let offset = places[stage].offset
    let placed = slots.lowerBound + offset..<slots.upperBound + offset
    readings.append(Reading(stage: stage, block: 0, slots: placed, clock: clock, visible: visibleFirst.count))
    for token in 0..<chunk {
      visibleFirst.append(Int32(offset + min(max(first(token), slots.lowerBound), slots.upperBound)))
      visibleLast.append(Int32(placed.upperBound))
    }
  }

  /// Has every token of the chunk read what the state of a stage has absorbed, the only stage whose state does.
  mutating func readState(stage: Int, clock: QueryClock) {
    stateReading = StateReading(stage: stage, clock: index(of: clock))
  }

  /// Notes the distances of all readings from index `first` on, which are of one stage.
  mutating func measure(from first: Int, stage: any Stage) {
    for index in first..<readings.count {
      readings[index].distances = distances.count
      let reading = readings[index]
      let position = clocks[reading.clock].first
      for slot in reading.slots {
        let place = places[reading.stage]
        let clock = stage.clock(ofSlot: place.growth.firstSlot(ofBlock: reading.block) + slot - place.offset)
        distances.append(Float(position - clock))
      }
    }
  }
}
