import Kernels

/// What the newest steps of a cache, or of a part of one, overwrote.
///
/// Before a step writes a slot, the key and value in it are copied into a *spill* slot; counters, scores and the ring of a
/// prompt's voters are copied when the step begins. Steps are taken back whole, newest first. The spill is a ring with room
/// for what `depth` tokens can overwrite, allocated once.
final class UndoLog {
  /// A step that can be taken back.
  struct Step {
    var tokens: Int
    /// The stages as they stood before it.
    var stages: [any Stage]
    /// The first of the step's spill slots.
    fileprivate var firstSpill: Int
    /// Where the step's scores lie in the ring of them.
    fileprivate var scoresPlace: Int
  }

  /// The most tokens that can be taken back.
  let depth: Int
  /// Steps that can be taken back, oldest first; together they have at most `depth` tokens.
  private(set) var steps: [Step] = []
  /// The slots that a token can overwrite in each head: one a stage.
  private let writesPerToken: Int
  private let heads: StoredHeads
  private let spill: StageStorage
  /// Where each spilled key and value lay, `[layer, KV head, spill slot]`; block -1 where nothing was spilled.
  private let places: Buffer<Place>
  /// `[step, layer, KV head, slot]`, of a cache that scores its tokens.
  private var scores = Buffer<Float>(count: 0)
  private let scoreCount: Int
  /// `[token, layer, query head, headDim]`, of a cache in which a prompt ends with a vote.
  private var queries = Buffer<Float>(count: 0)
  private var nextSpill = 0
  /// The first spill slot of the step under way, and how many it may fill: threads read these, and count no references.
  private var (firstSpill, stepWrites) = (0, 0)

  private struct Place {
    /// As tables of a step count blocks.
    var block: Int32
    var slot: Int32

    static let none = Place(block: -1, slot: 0)
  }

  /// An empty log for a cache, or a part of one.
  init(depth: Int, of cache: KVCache) {
    self.depth = depth
    heads = cache.heads
    writesPerToken = cache.stages.count
    spill = StageStorage(type: cache.slotType.elementType, shape: heads.shape, capacity: depth * cache.stages.count)
    places = Buffer(count: heads.count * depth * writesPerToken)
    scoreCount = cache.scores?.count ?? 0
    scores = Buffer(count: depth * scoreCount)
    if let observation = cache.observation { queries = Buffer(count: depth * observation.tokenFloats) }
    steps.reserveCapacity(depth)
  }

  var bytes: Int {
    spill.bytes + places.count * MemoryLayout<Place>.stride + (scores.count + queries.count) * 4
  }

  /// Tokens that can be taken back.
  var tokens: Int { steps.reduce(0) { $0 + $1.tokens } }

  private var spillSlots: Int { depth * writesPerToken }

  /// Whether the step under way is noted; one of more tokens than the log is deep is not.
  private(set) var isRecording = false

  func clear() {
    steps.removeAll(keepingCapacity: true)
    isRecording = false
  }

  /// Notes how the cache stands before a step of so many tokens, and forgets the steps that are too old then.
  func begin(tokens: Int, of cache: KVCache) {
    isRecording = tokens <= depth
    guard isRecording else { return clear() }
    var left = self.tokens
    while left + tokens > depth { left -= steps.removeFirst().tokens }
    let scoresPlace = steps.last.map { ($0.scoresPlace + 1) % depth } ?? 0
    steps.append(Step(tokens: tokens, stages: cache.stages, firstSpill: nextSpill, scoresPlace: scoresPlace))
    (firstSpill, stepWrites) = (nextSpill, tokens * writesPerToken)
    for write in 0..<stepWrites {
      for head in 0..<heads.count { places.pointer[head * spillSlots + spillSlot(write, from: nextSpill)] = .none }
    }
    nextSpill = spillSlot(stepWrites, from: nextSpill)
    if let from = cache.scores {
      (scores.pointer + scoresPlace * scoreCount).update(from: from.pointer, count: scoreCount)
    }
    if let observation = cache.observation {
      forEachToken(of: tokens, at: cache.tokenCount, observation) { token, position in
        observation.copyQueries(at: position, to: queries.pointer + token * observation.tokenFloats)
      }
    }
  }

  private func spillSlot(_ write: Int, from first: Int) -> Int { (first + write) % spillSlots }

  /// Calls `body` with the tokens of a step whose queries take places in the ring of voters.
  private func forEachToken(
    of tokens: Int, at first: Int64, _ observation: ObservationWindow, _ body: (_ place: Int, _ position: Int64) -> Void
  ) {
    for token in max(0, tokens - observation.size)..<tokens {
      let position = first + Int64(token)
      body(Int(position % Int64(depth)), position)
    }
  }

  /// Copies a slot that is about to be written.
  ///
  /// - Parameters:
  ///   - target: the slot; tables of the step count blocks
  ///   - write: which of the step's writes it is in this head
  ///   - head: where the cache stores the head
  ///   - row: `headDim` floats of scratch
  func spill(
    _ slots: SlotStorage, _ target: (block: Int, slot: Int), write: Int, place head: Int,
    row: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    guard isRecording else { return }
    assert(write < stepWrites, "a stage is written once a token")
    let index = spillSlot(write, from: firstSpill)
    places.pointer[head * spillSlots + index] = Place(block: Int32(target.block), slot: Int32(target.slot))
    Self.copy(target.slot, of: slots, to: index, of: spilled(head: head), row, kernels)
  }

  private func spilled(head: Int) -> SlotStorage {
    spill.block(0).slots(head: head, type: spill.type, headDim: spill.shape.headDim)
  }

  /// Keys and values of every type survive the way through floats bit for bit.
  private static func copy(
    _ slot: Int, of source: SlotStorage, to place: Int, of target: SlotStorage, _ row: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    kernels.readKey(slot, of: source, to: row)
    kernels.writeKey(row, to: place, of: target)
    kernels.readValue(slot, of: source, to: row)
    kernels.writeValue(row, to: place, of: target)
  }

  /// Puts back what the newest step overwrote, and forgets that step.
  ///
  /// - Parameters:
  ///   - first: the place in the stream of the step's first token
  ///   - slots: the slots of a head in a block
  /// - Returns: the step.
  func undo(
    first: Int64, scores current: Buffer<Float>?, _ observation: ObservationWindow?, _ kernels: InstructionSet,
    slots: (_ block: Int, _ head: Int) -> SlotStorage
  ) -> Step {
    let step = steps.removeLast()
    let row = Buffer<Float>(count: spill.shape.headDim)
    for head in 0..<heads.count {
      // A slot that was written twice first held what was spilled first.
      for write in (0..<step.tokens * writesPerToken).reversed() {
        let index = spillSlot(write, from: step.firstSpill)
        let place = places.pointer[head * spillSlots + index]
        guard place.block >= 0 else { continue }
        Self.copy(
          index, of: spilled(head: head), to: Int(place.slot), of: slots(Int(place.block), head), row.pointer, kernels)
      }
    }
    current?.pointer.update(from: scores.pointer + step.scoresPlace * scoreCount, count: scoreCount)
    if let observation {
      forEachToken(of: step.tokens, at: first, observation) { token, position in
        observation.setQueries(at: position, from: queries.pointer + token * observation.tokenFloats)
      }
    }
    nextSpill = step.firstSpill
    return step
  }
}
