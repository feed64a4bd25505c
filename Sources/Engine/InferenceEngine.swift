import Foundation
package import KVCaches
package import Kernels
package import Models

/// Runs a model over chunks of tokens of one or more sequences.
///
/// Owns the worker team and all buffers of a step. Not thread safe: one step at a time.
package final class InferenceEngine {
  package let model: any DecoderModel
  package let kernels: InstructionSet
  package let team: WorkerTeam
  package let workspace: ForwardWorkspace
  private let attention: LocalAttention

  /// The most tokens of one step.
  package let chunk: Int

  /// - Parameters:
  ///   - chunk: the most tokens of one step, which bounds the working memory
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
    workspace = ForwardWorkspace(
      model.buffers, rows: chunk, logitRows: min(chunk, 64), arithmetic: arithmetic, kernels: kernels)
    attention = LocalAttention(shape: model.configuration.attention, team: team, kernels: kernels)
  }

  package var vocabularySize: Int { model.configuration.vocabularySize }

  /// An empty cache for this model.
  ///
  /// - Throws: `KVCacheError` where the plan does not fit the model, or takes more than this machine's memory.
  package func makeCache(_ plan: KVCache.Plan, slotType: KVCache.SlotType) throws(KVCacheError) -> KVCache {
    let shape = model.configuration.attention
    let bytes = KVCache.bytes(plan: plan, shape: shape, slotType: slotType, tokens: 0)
    let memory = ProcessInfo.processInfo.physicalMemory
    guard UInt64(bytes) < memory else {
      throw .badSpecification(
        plan.description, "takes \(bytes >> 20) MiB, but this machine has \(memory >> 20) MiB of memory")
    }
    return try KVCache(plan: plan, shape: shape, slotType: slotType, positions: model.configuration.positions)
  }

  /// Brings one chunk of one sequence through the model.
  ///
  /// - Precondition: the chunk is not longer than `chunk` and than the cache admits; ids are in the vocabulary.
  package func step(_ tokens: UnsafeBufferPointer<Int32>, cache: KVCache) {
    attention.beginStep(cache, rows: tokens.count)
    model.forward(tokens, attention: attention, workspace: workspace, team: team)
  }

  /// Brings one chunk through the model with a memory of the caller's, which knows of the step already.
  ///
  /// - Precondition: the chunk is not longer than `chunk`; ids are in the vocabulary.
  package func step(_ tokens: UnsafeBufferPointer<Int32>, attention: some AttentionService) {
    model.forward(tokens, attention: attention, workspace: workspace, team: team)
  }

  /// Brings chunks of several sequences through the model at once; linear layers see all rows together.
  ///
  /// Rows stand in the order of the parts. The same preconditions as for one sequence hold for each.
  package func step(_ parts: [(tokens: [Int32], cache: KVCache)]) {
    var rows: [Int32] = []
    let segments = parts.map { part in
      defer { rows += part.tokens }
      return LocalAttention.Segment(cache: part.cache, rows: rows.count..<rows.count + part.tokens.count)
    }
    attention.beginStep(segments)
    rows.withUnsafeBufferPointer {
      model.forward($0, attention: attention, workspace: workspace, team: team)
    }
  }

  /// Says that a sequence's prompt has ended, once the logits of its last token need no more of the cache.
  package func finishPrompt(of cache: KVCache) { cache.finishPrompt(team: team, kernels: kernels) }

  /// The logits of one row of the last step, valid until the next call.
  package func logits(row: Int) -> UnsafeMutableBufferPointer<Float> {
    model.logits(of: row..<row + 1, workspace: workspace, team: team)
    return UnsafeMutableBufferPointer(start: workspace.logits.pointer, count: vocabularySize)
  }

  /// Computes the logits of a range of rows of the last step, at most 64 at a time, and hands over each block.
  ///
  /// - Parameter body: the rows of the block, and their logits `[row, vocabulary]`
  package func forEachLogits(
    of rows: Range<Int>, _ body: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) {
    for first in stride(from: rows.lowerBound, to: rows.upperBound, by: workspace.logitRows) {
      let block = first..<min(first + workspace.logitRows, rows.upperBound)
      model.logits(of: block, workspace: workspace, team: team)
      body(block, workspace.logits.pointer)
    }
  }

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
      tokens.withUnsafeBufferPointer { step(UnsafeBufferPointer(rebasing: $0[done..<done + count]), cache: cache) }
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
