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
    kernels: InstructionSet = .current
  ) throws {
    team = try WorkerTeam(threads: 2)
    model = try ModelRegistry.load(WeightFile.open(path), adapters: adapters, team: team)
    self.chunk = chunk
    workspace = ForwardWorkspace(
      model.buffers, rows: chunk, logitRows: chunk, arithmetic: arithmetic, kernels: kernels)
    attention = LocalAttention(shape: model.configuration.attention, team: team, kernels: kernels)
  }

  func makeCache(_ plan: KVCache.Plan = .full, _ slotType: KVCache.SlotType = .float32) throws -> KVCache {
    try KVCache(
      plan: plan, shape: model.configuration.attention, slotType: slotType, positions: model.configuration.positions)
  }

  /// The logits after every token, `[token][vocabulary]`.
  func logits(_ ids: [Int32], cache: KVCache) -> [[Float]] {
    var result: [[Float]] = []
    var rest = ids[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(cache.admissibleChunk(min(chunk, rest.count))))
      rest = rest.dropFirst(part.count)
      attention.beginStep([LocalAttention.Segment(cache: cache, rows: 0..<part.count)])
      part.withUnsafeBufferPointer { model.forward($0, attention: attention, workspace: workspace, team: team) }
      model.logits(of: 0..<part.count, workspace: workspace, team: team)
      let vocabulary = model.configuration.vocabularySize
      for row in 0..<part.count {
        result.append(Array(workspace.logits.elements[row * vocabulary..<(row + 1) * vocabulary]))
      }
    }
    return result
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
