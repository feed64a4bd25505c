import Foundation
package import KVCaches
package import Kernels
package import Models

/// Runs a model over batches: the tokens of a step, of one or more sequences.
///
/// Owns the worker team and all buffers of a step. Not thread safe: one step at a time.
package final class InferenceEngine {
  package let model: any DecoderModel
  package let kernels: InstructionSet
  package let team: WorkerTeam
  package let workspace: ForwardWorkspace
  /// Those of batches that go through the model beside the first one.
  private var otherWorkspaces: [ForwardWorkspace] = []
  private let attention: LocalAttention
  /// Attends in place of this process, for all caches that it makes; nil where this process does.
  private var service: (any AttentionService<KVCache>)?
  /// 0, 1, 2…
  private let rowNumbers: Buffer<Int32>

  /// What constraints of answers have come to; nil where no tokenizer is known.
  package var constraints: ConstraintTables?

  /// The batch of a step that has one sequence.
  private let single: Batch

  /// The most rows of one step.
  package let chunk: Int

  /// - Parameters:
  ///   - chunk: the most rows of one step, which bounds the working memory
  ///   - arithmetic: how quantised matrices multiply
  package init(
    model: any DecoderModel, team: WorkerTeam, kernels: InstructionSet, chunk: Int = 512,
    arithmetic: Arithmetic = .int8
  ) {
    precondition(chunk > 0)
    self.model = model
    self.team = team
    self.kernels = kernels
    self.chunk = chunk
    workspace = Self.makeWorkspace(model, rows: chunk, arithmetic, kernels)
    attention = LocalAttention(layers: model.configuration.layers, team: team, kernels: kernels)
    single = Batch(capacity: chunk)
    rowNumbers = Buffer(count: chunk)
    for row in 0..<chunk { rowNumbers.pointer[row] = Int32(row) }
  }

  private static func makeWorkspace(
    _ model: any DecoderModel, rows: Int, _ arithmetic: Arithmetic, _ kernels: InstructionSet
  ) -> ForwardWorkspace {
    ForwardWorkspace(
      model.buffers, rows: rows, logitRows: min(rows, 64), arithmetic: arithmetic, kernels: kernels)
  }

  /// Has another service make all caches from now on, and attend.
  package func attend(by service: any AttentionService<KVCache>) {
    self.service = service
    otherWorkspaces = (1..<service.lanes.count).map { _ in
      Self.makeWorkspace(model, rows: chunk, workspace.arithmetic, kernels)
    }
  }

  /// Batches that a step can have, which take turns.
  package var lanes: Int { 1 + otherWorkspaces.count }

  private func workspace(ofLane lane: Int) -> ForwardWorkspace { lane == 0 ? workspace : otherWorkspaces[lane - 1] }

  package var vocabularySize: Int { model.configuration.vocabularySize }

  /// An empty sequence for this model.
  ///
  /// - Throws: as `makeCache`.
  package func makeSequence(
    _ plan: KVCache.Plan, slotType: KVCache.SlotType = .float16, log: TokenLog = TokenLog()
  ) throws(KVCacheError) -> Sequence {
    Sequence(memory: try makeCache(plan, slotType: slotType), log: log)
  }

  /// An empty cache for this model.
  ///
  /// - Throws: `KVCacheError` where the plan does not fit the model, or takes more than this machine's memory.
  package func makeCache(_ plan: KVCache.Plan, slotType: KVCache.SlotType) throws(KVCacheError) -> KVCache {
    if let service { return try service.makeMemory(plan, slotType: slotType) }
    let bytes = KVCache.bytes(plan: plan, layers: model.configuration.layers, slotType: slotType, tokens: 0)
    let memory = ProcessInfo.processInfo.physicalMemory
    guard UInt64(bytes) < memory else {
      throw .badSpecification(
        plan.description, "takes \(bytes >> 20) MiB, but this machine has \(memory >> 20) MiB of memory")
    }
    return try attention.makeMemory(plan, slotType: slotType)
  }

  /// Brings the rows of a batch through the model; linear layers see all of them together.
  ///
  /// - Precondition: ids are in the vocabulary, and there is a row.
  package func step(_ batch: Batch) {
    if let service { step(batch, service) } else { step(batch, attention) }
  }

  private func step(_ batch: Batch, _ attention: some AttentionService<KVCache>) {
    attention.beginStep(batch.segments)
    model.forward(batch.tokens, attention: attention, workspace: workspace, team: team)
  }

  /// Brings batches of different sequences through the model in turns, one a lane from the first on.
  ///
  /// - Precondition: that of `step`, for each.
  package func step(_ batches: ArraySlice<Batch>) {
    guard batches.count > 1, let service else { return batches.forEach { step($0) } }
    step(batches, service)
  }

  private func step(_ batches: ArraySlice<Batch>, _ attention: some AttentionService<KVCache>) {
    attention.beginSteps(batches.map(\.segments))
    let lanes = zip(batches, attention.lanes).enumerated().map { lane, pair in
      ForwardLane(tokens: pair.0.tokens, attention: pair.1, workspace: workspace(ofLane: lane))
    }
    model.forward(lanes, team: team)
  }

  /// Says that a sequence's prompt has ended, once its last token has gone through the model.
  package func finishPrompt(of cache: KVCache) {
    if let service { service.endPrompt(of: cache) } else { attention.endPrompt(of: cache) }
  }

  /// The logits of one row of the last step, valid until the next call.
  package func logits(row: Int) -> UnsafeMutableBufferPointer<Float> {
    model.logits(of: rows(row..<row + 1), workspace: workspace, team: team)
    return UnsafeMutableBufferPointer(start: workspace.logits.pointer, count: vocabularySize)
  }

  /// Computes the logits of any rows of a lane's last step, at most 64 at a time, and hands over each block.
  ///
  /// - Parameter body: which of `rows` the block has, and their logits `[row, vocabulary]`
  package func forEachLogits(
    of rows: UnsafeBufferPointer<Int32>, lane: Int = 0, _ body: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) {
    let workspace = workspace(ofLane: lane)
    for first in stride(from: 0, to: rows.count, by: workspace.logitRows) {
      let block = first..<min(first + workspace.logitRows, rows.count)
      model.logits(of: UnsafeBufferPointer(rebasing: rows[block]), workspace: workspace, team: team)
      body(block, workspace.logits.pointer)
    }
  }

  /// Hands over the last hidden states `[row, hidden]` of rows of a lane's last step, which follow each other, block by block.
  func forEachHidden(of rows: Range<Int>, lane: Int, _ body: (Range<Int>, UnsafePointer<Float>) -> Void) {
    let workspace = workspace(ofLane: lane)
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: workspace.logitRows) {
      let block = first..<min(first + workspace.logitRows, rows.upperBound)
      body(block, model.lastHidden(of: self.rows(block), workspace: workspace, team: team))
    }
  }

  /// The numbers of some rows that follow each other.
  package func rows(_ range: Range<Int>) -> UnsafeBufferPointer<Int32> {
    UnsafeBufferPointer(rebasing: UnsafeBufferPointer(rowNumbers.elements)[range])
  }
}

/// One sequence at a time, for measurements that want the logits of every token or none.
extension InferenceEngine {
  /// Brings any number of tokens through the model, chunk by chunk.
  ///
  /// - Parameter afterChunk: called after each chunk with its range in `tokens`; false stops there.
  /// - Returns: how many tokens were taken in.
  @discardableResult
  package func feed(
    _ tokens: [Int32], cache: KVCache, afterChunk: (Range<Int>) throws -> Bool
  ) rethrows -> Int {
    var done = 0
    while done < tokens.count {
      let count = cache.admissibleChunk(min(chunk, tokens.count - done))
      tokens.withUnsafeBufferPointer {
        single.append(UnsafeBufferPointer(rebasing: $0[done..<done + count]), memory: cache)
      }
      step(single)
      single.removeAll()
      done += count
      guard try afterChunk(done - count..<done) else { break }
    }
    return done
  }

  /// Brings any number of tokens through the model.
  package func feed(_ tokens: [Int32], cache: KVCache) {
    feed(tokens, cache: cache) { _ in true }
  }
}
