import KVCaches
import Kernels

/// A model worker's sequences at an attention worker: caches of some heads or slots, and the steps under way.
final class WorkerSession: @unchecked Sendable {
  let model: AttentionModel
  let memory: WorkerMemory
  private(set) var sequences: [UInt64: KVCache] = [:]
  /// Sequences that a step was begun for and never finished: they have to be read again, or restored.
  var broken: Set<UInt64> = []
  /// Sequences that are becoming what was saved.
  var restorations: [UInt64: WorkerRestoration] = [:]
  private var lanes: WorkerLanes
  private var heldBytes = 0

  init(_ model: AttentionModel, team: WorkerTeam, kernels: InstructionSet, memory: WorkerMemory) {
    (self.model, self.memory) = (model, memory)
    lanes = WorkerLanes(model, team: team, kernels: kernels)
    lanes.open(0)
  }

  deinit { memory.adjust(by: -heldBytes) }

  /// - Throws: `OffloadError.badFrame` where such a frame may not come now, or has another length than it has to have.
  func check(_ header: FrameHeader) throws(OffloadError) {
    switch header.kind {
    case .queries, .keysAndValues: try lanes[lane(of: header)].step.check(header)
    case .step:
      guard header.layer < AttentionModel.mostLanes else { throw .badFrame("a step of lane \(header.layer)") }
    case .rollBack, .keepUndo:
      guard header.length == 8 else { throw .badFrame("\(header.kind) of \(header.length) bytes") }
    case .listSections:
      guard header.length == 8 else { throw .badFrame("\(header.kind) of \(header.length) bytes") }
    case .writeSection:
      guard header.length <= restorations[header.batch]?.lengthLimit ?? 0 else {
        throw .badFrame("a section of \(header.length) bytes that does not belong to what was announced")
      }
    case .open, .close, .reset, .endPrompt, .askState, .beat, .readSection, .restore, .endRestoring: return
    default: throw .badFrame("\(header.kind) is not for a worker")
    }
  }

  private func lane(of header: FrameHeader) throws(OffloadError) -> Int {
    guard let lane = lanes.lane(ofBatch: header.batch) else { throw .badFrame("\(header.kind) of another step") }
    return lane
  }

  /// Takes in a frame that was checked.
  func take(
    _ header: FrameHeader, _ contents: UnsafeRawBufferPointer, _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    switch header.kind {
    case .step:
      try begin(try StepDescription(contents, rowLimit: model.rows), batch: header.batch, lane: Int(header.layer))
    case .queries:
      let lane = try lane(of: header)
      lanes[lane].step.takeQueries(header, contents, lanes[lane].attention)
    case .keysAndValues:
      let lane = try lane(of: header)
      try lanes[lane].step.takeKeysAndValues(header, contents, lanes[lane].attention, reply)
    case .beat: return
    case .listSections, .readSection, .restore, .writeSection: try exchangeSections(header, contents, reply)
    default: try change(header, contents, reply)
    }
  }

  private func begin(_ description: StepDescription, batch: UInt64, lane: Int) throws(OffloadError) {
    lanes.open(lane)
    // Numbers are those of one connection; an earlier one's step may have had the same.
    if let other = lanes.lane(ofBatch: batch), !lanes[other].step.isRepeated(description) { forgetStep(other) }
    if let repeated = lanes.lane(repeating: description) { return lanes[repeated].step.repeatStep(batch: batch) }
    // What was begun cannot go on, whatever comes of the new one.
    forgetStep(lane)
    for part in description.parts {
      guard let other = lanes.lane(of: part.sequence) else { continue }
      guard lanes[other].step.isFinished else { throw .refused(.sequence, Self.unfinished) }
      forgetStep(other)
    }
    var segments: [LocalAttention.Segment] = []
    var first = 0
    for part in description.parts {
      guard let cache = sequences[part.sequence], !broken.contains(part.sequence) else {
        throw .refused(.sequence, "the sequence is not here, or not whole")
      }
      guard cache.tokenCount == part.position else {
        throw .refused(.sequence, "the sequence has \(cache.tokenCount) tokens, not \(part.position)")
      }
      guard cache.admissibleChunk(part.rows) == part.rows else {
        throw .refused(.request, "\(part.rows) tokens are more than the cache admits at once")
      }
      segments.append(LocalAttention.Segment(memory: cache, rows: first..<first + part.rows))
      first += part.rows
    }
    guard memory.freeBytes > 0 else {
      throw .refused(.memory, "the worker's \(memory.limit >> 20) MiB are full")
    }
    lanes[lane].step.begin(description, batch: batch, before: segments.map { $0.memory.counters() })
    lanes[lane].attention.beginStep(segments)
    recount()
  }

  private static let unfinished = "a step of the sequence has not ended"

  /// Forgets the step of a lane; where it was under way, its sequences have to be read again.
  private func forgetStep(_ lane: Int) {
    if !lanes[lane].step.isFinished { broken.formUnion(lanes[lane].step.description.parts.map(\.sequence)) }
    lanes[lane].step.forget()
  }

  func recount() {
    let bytes = sequences.values.reduce(0) { $0 + $1.bytes }
    memory.adjust(by: bytes - heldBytes)
    heldBytes = bytes
  }

  /// Does what is asked for between two steps.
  private func change(
    _ header: FrameHeader, _ contents: UnsafeRawBufferPointer, _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    let id = header.batch
    if header.kind == .open { try open(id, try SequenceDescription(contents)) }
    guard let cache = sequences[id] else { throw .refused(.sequence, "the sequence is not here") }
    var reader = MessageReader(contents)
    switch header.kind {
    case .close:
      sequences[id] = nil
      leaveStep(id)
    case .reset:
      cache.reset()
      leaveStep(id)
    case .endRestoring: try endRestoring(id)
    case .endPrompt:
      try checkWhole(id)
      lanes[0].attention.endPrompt(of: cache)
    case .rollBack:
      try checkWhole(id)
      let wanted = try reader.readCount(UInt64.self, 0...KVCache.largestUndoDepth, "a number of tokens")
      try rollBack(id, cache, tokens: wanted)
    case .keepUndo:
      let depth = try reader.readCount(UInt32.self, 0...KVCache.largestUndoDepth, "a depth")
      let ofSingleTokens = try reader.readCount(UInt32.self, 0...1, "a flag") == 1
      do throws(KVCacheError) {
        try cache.keepUndoLog(depth: depth, ofSingleTokens: ofSingleTokens)
      } catch { throw .refused(.request, "\(error)") }
    default: break
    }
    recount()
    try answer(id, cache, header, reply)
  }

  private func open(_ id: UInt64, _ description: SequenceDescription) throws(OffloadError) {
    sequences[id] = nil
    leaveStep(id)
    let bytes =
      KVCache.bytes(
        plan: description.plan, layers: model.layers, slotType: description.slotType, tokens: 0) / model.heads.count
    guard bytes <= memory.freeBytes else {
      throw .refused(.memory, "it takes \(bytes >> 20) MiB, and \(memory.freeBytes >> 20) MiB are free")
    }
    do throws(KVCacheError) {
      sequences[id] = try KVCache(
        plan: description.plan, layers: model.layers, slotType: description.slotType, heads: model.heads,
        slots: model.slots)
    } catch { throw .refused(.request, "\(error)") }
  }

  /// Forgets the step of a sequence that begins anew.
  func leaveStep(_ id: UInt64) {
    if let lane = lanes.lane(of: id) { forgetStep(lane) }
    broken.remove(id)
    restorations[id] = nil
  }

  private func rollBack(_ id: UInt64, _ cache: KVCache, tokens: Int) throws(OffloadError) {
    let taken: Int
    do throws(KVCacheError) { taken = try cache.rollBack(tokens: tokens) } catch {
      throw .refused(.sequence, "\(error)")
    }
    if let lane = lanes.lane(of: id) { forgetStep(lane) }
    guard taken == tokens else {
      broken.insert(id)
      throw .refused(.sequence, "\(tokens) tokens end within a step that cannot be divided")
    }
  }

  func checkWhole(_ id: UInt64) throws(OffloadError) {
    let isFinished = lanes.lane(of: id).map { lanes[$0].step.isFinished } ?? true
    guard !broken.contains(id), isFinished else { throw .refused(.sequence, Self.unfinished) }
  }

  /// Says how a sequence stands; one whose step has not ended, as it stood before it, so that the step can come again.
  private func answer(
    _ id: UInt64, _ cache: KVCache, _ header: FrameHeader, _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    var state = SequenceState()
    (state.tokenCount, state.counters) = (cache.tokenCount, cache.counters())
    (state.earlierTokenCount, state.earlierCounters) = (state.tokenCount, state.counters)
    if header.kind == .askState {
      let step = lanes.lane(of: id).map { lanes[$0].step }
      let (isFinished, before) = (step?.isFinished ?? true, step?.before(id))
      guard !broken.contains(id), isFinished || before != nil else { throw .refused(.sequence, Self.unfinished) }
      if let before {
        (state.earlierTokenCount, state.earlierCounters) = before
        if !isFinished { (state.tokenCount, state.counters) = before }
      }
    }
    state.bytes = UInt64(sequences[id] == nil ? 0 : cache.bytes)
    state.freeBytes = UInt64(memory.freeBytes)
    let bytes = state.encoded()
    let header = FrameHeader(.state, epoch: header.epoch, batch: id, length: bytes.count)
    let result: Result<Void, OffloadError> = bytes.withUnsafeBytes { bytes in
      Result { () throws(OffloadError) in try reply(header, bytes) }
    }
    try result.get()
  }
}
