import KVCaches
import Kernels
import Models
import Weights

/// A model with everything that a forward pass needs, for tests.
final class ModelRunner {
  let model: any DecoderModel
  private let team: WorkerTeam
  private let workspace: ForwardWorkspace
  private let attention: LocalAttention
  private let chunk: Int

  init(
    _ path: String, adapters: [LowRankAdapter] = [], chunk: Int = 64, arithmetic: Arithmetic = .float32,
    kernels: InstructionSet = .current, queriesFirst: Bool = false
  ) throws {
    team = try WorkerTeam(threads: 2)
    model = try ModelRegistry.load(WeightFile.open(path), adapters: adapters, team: team, queriesFirst: queriesFirst)
    self.chunk = chunk
    workspace = ForwardWorkspace(
      model.buffers, rows: chunk, logitRows: chunk, arithmetic: arithmetic, kernels: kernels)
    attention = LocalAttention(layers: model.configuration.layers, team: team, kernels: kernels)
  }

  func makeCache(_ plan: KVCache.Plan = .full, _ slotType: KVCache.SlotType = .float32) throws -> KVCache {
    try KVCache(plan: plan, layers: model.configuration.layers, slotType: slotType)
  }

  /// The reference for a memory that keeps everything.
  func makeReference() throws -> ReferenceAttention { ReferenceAttention(try makeCache().attention) }

  /// The logits after every token, `[token][vocabulary]`.
  func logits(_ ids: [Int32], cache: KVCache) -> [[Float]] {
    var result: [[Float]] = []
    var rest = ids[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(cache.admissibleChunk(min(chunk, rest.count))))
      rest = rest.dropFirst(part.count)
      attention.beginStep([LocalAttention.Segment(memory: cache, rows: 0..<part.count)])
      result += step(part, attention)
    }
    return result
  }

  /// The logits after every token of several sequences that go through the model together, `[sequence][token]`.
  func logits(_ parts: [(ids: [Int32], cache: KVCache)]) -> [[[Float]]] {
    var segments: [LocalAttention.Segment] = []
    var first = 0
    for part in parts {
      segments.append(LocalAttention.Segment(memory: part.cache, rows: first..<first + part.ids.count))
      first += part.ids.count
    }
    attention.beginStep(segments)
    let all = step(parts.flatMap(\.ids), attention)
    return segments.map { Array(all[$0.rows]) }
  }

  /// The logits after every token with the reference for a memory, `[token][vocabulary]`.
  func logits(_ ids: [Int32], memory: ReferenceAttention) -> [[Float]] {
    stride(from: 0, to: ids.count, by: chunk).flatMap { start in
      let part = Array(ids[start..<min(start + chunk, ids.count)])
      memory.beginStep(rows: part.count)
      return step(part, memory)
    }
  }

  private func step(_ ids: [Int32], _ attention: some LayerAttention) -> [[Float]] {
    ids.withUnsafeBufferPointer { model.forward($0, attention: attention, workspace: workspace, team: team) }
    return logits(of: ids.indices.map { Int32($0) })
  }

  /// The logits of rows of the last step, in the order that is asked for.
  func logits(of rows: [Int32]) -> [[Float]] {
    rows.withUnsafeBufferPointer { model.logits(of: $0, workspace: workspace, team: team) }
    let vocabulary = model.configuration.vocabularySize
    return rows.indices.map { Array(workspace.logits.elements[$0 * vocabulary..<($0 + 1) * vocabulary]) }
  }

  /// The likeliest continuation.
  func greedy(_ ids: [Int32], count: Int, cache: KVCache) -> [Int32] {
    var output: [Int32] = []
    var last = logits(ids, cache: cache).last ?? []
    while output.count < count, let best = last.indices.max(by: { last[$0] < last[$1] }) {
      output.append(Int32(best))
      last = logits([Int32(best)], cache: cache)[0]
    }
    return output
  }
}
