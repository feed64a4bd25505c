import KVCaches
import Kernels

/// A model worker's sequences at an attention worker: caches of some heads or slots, and the step under way.
final class WorkerSession: @unchecked Sendable {
  let model: AttentionModel
  private let memory: WorkerMemory
  private let attention: LocalAttention
  private var sequences: [UInt64: KVCache] = [:]
  /// Sequences that a step was begun for and never finished: they have to be read again.
  private var broken: Set<UInt64> = []
  private var step: WorkerStep
  private var heldBytes = 0

  init(_ model: AttentionModel, team: WorkerTeam, kernels: InstructionSet, memory: WorkerMemory) {
    (self.model, self.memory) = (model, memory)
    attention = LocalAttention(layers: model.layers, team: team, kernels: kernels)
    step = WorkerStep(model, kernels: kernels)
  }

  deinit { memory.adjust(by: -heldBytes) }

  /// - Throws: `OffloadError.badFrame` where such a frame may not come now, or has another length than it has to have.
  func check(_ header: FrameHeader) throws(OffloadError) {
    switch header.kind {
    case .queries, .keysAndValues: try step.check(header)
    case .rollBack, .keepUndo:
      guard header.length == 8 else { throw .badFrame("\(header.kind) of \(header.length) bytes") }
    case .open, .close, .reset, .endPrompt, .askState, .step, .beat: return
    default: throw .badFrame("\(header.kind) is not for a worker")
    }
  }

  /// Takes in a frame that was checked.
  func take(
    _ header: FrameHeader, _ contents: UnsafeRawBufferPointer, _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    switch header.kind {
    case .step: try begin(try StepDescription(contents, rowLimit: model.rows), batch: header.batch)
    case .queries: step.takeQueries(header, contents, attention)
    case .keysAndValues: try step.takeKeysAndValues(header, contents, attention, reply)
    case .beat: return
    default: try change(header, contents, reply)
    }
  }

  private func begin(_ description: StepDescription, batch: UInt64) throws(OffloadError) {
    if step.isRepeated(description) { return step.repeatStep(batch: batch) }
    if !step.isFinished { broken.formUnion(step.description.parts.map(\.sequence)) }
    // What was begun cannot go on, whatever comes of the new one.
    step.forget()
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
    step.begin(description, batch: batch, before: segments.map { $0.memory.counters() })
    attention.beginStep(segments)
    recount()
  }

  private func recount() {
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
      broken.remove(id)
    case .reset:
      cache.reset()
      broken.remove(id)
      if step.contains(id) { step.forget() }
    case .endPrompt:
      try checkWhole(id)
      attention.endPrompt(of: cache)
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
    if step.contains(id) { step.forget() }
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
    broken.remove(id)
  }

  private func rollBack(_ id: UInt64, _ cache: KVCache, tokens: Int) throws(OffloadError) {
    let taken: Int
    do throws(KVCacheError) { taken = try cache.rollBack(tokens: tokens) } catch {
      throw .refused(.sequence, "\(error)")
    }
    step.forget()
    guard taken == tokens else {
      broken.insert(id)
      throw .refused(.sequence, "\(tokens) tokens end within a step that cannot be divided")
    }
  }

  private func checkWhole(_ id: UInt64) throws(OffloadError) {
    let isInStep = step.contains(id) && !step.isFinished
    guard !broken.contains(id), !isInStep else { throw .refused(.sequence, "a step of the sequence has not ended") }
  }

  /// Says how a sequence stands; one whose step has not ended, as it stood before it, so that the step can come again.
  private func answer(
    _ id: UInt64, _ cache: KVCache, _ header: FrameHeader, _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    var state = SequenceState()
    (state.tokenCount, state.counters) = (cache.tokenCount, cache.counters())
    (state.earlierTokenCount, state.earlierCounters) = (state.tokenCount, state.counters)
    if header.kind == .askState {
      let isLost = step.contains(id) && !step.isFinished && step.before(id) == nil
      guard !broken.contains(id), !isLost else { throw .refused(.sequence, "a step of the sequence has not ended") }
      if let before = step.before(id) {
        (state.earlierTokenCount, state.earlierCounters) = before
        if !step.isFinished { (state.tokenCount, state.counters) = before }
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
