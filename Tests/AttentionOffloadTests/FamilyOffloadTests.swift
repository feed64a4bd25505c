import AttentionOffload
import Engine
import Foundation
import KVCaches
import Kernels
import ModelJSON
import Models
import Testing
import Weights

/// Models of all families with random weights, those that ModelsTests holds against their references.
enum FamilyModels {
  static let names = [
    "cohere", "cohere2", "ernie45", "exaone4", "falcon", "falcon-groups", "gemma", "gemma2", "gemma3", "gemma4",
    "gemma4-moe", "glm4", "gpt-oss", "gptneox", "granite", "granite-moe", "granite4", "lfm2", "lfm2-moe", "llama-yarn",
    "llama3-rope", "ministral3", "mistral3", "mixtral", "mpt", "olmo2", "olmo3", "phi2", "phi3", "qwen2", "qwen2-moe",
    "qwen3", "qwen3-moe", "qwen35", "qwen35-moe", "seed-oss", "smollm3", "stablelm", "starcoder2",
  ]
  static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "ModelsTests/Golden")

  static func engine(_ name: String) throws -> InferenceEngine {
    let team = try WorkerTeam(threads: 1)
    let model = try ModelRegistry.load(WeightFile.open(directory.appending(path: name).path), adapters: [], team: team)
    return InferenceEngine(model: model, team: team, kernels: .current, chunk: 16, arithmetic: .float32)
  }

  static func tokens(_ name: String) throws -> [Int32] {
    let file = directory.appending(path: "\(name)/golden.json")
    let golden = try JSONValue(parsing: [UInt8](Data(contentsOf: file)))
    return (golden["ids"]?.array ?? []).compactMap { $0.integer.map { Int32($0) } }
  }
}

extension InferenceEngine {
  /// The likeliest continuation of a prompt.
  ///
  /// - Parameter beforeToken: called with the number of tokens so far before each one's logits are asked for
  func greedy(
    _ prompt: [Int32], count: Int, plan: String, beforeToken: (Int) -> Void = { _ in }
  ) throws -> [Int32] {
    let sequence = try makeSequence(KVCache.Plan(plan), slotType: .float32)
    let scheduler = Scheduler(engine: self)
    sequence.append(prompt)
    var output: [Int32] = []
    for index in 0..<count {
      beforeToken(index)
      guard let logits = scheduler.logits(of: sequence) else { break }
      if let failure = sequence.memory.failure { throw failure }
      let best = logits.indices.max { logits[$0] < logits[$1] } ?? 0
      output.append(Int32(best))
      sequence.append(Int32(best))
    }
    return output
  }
}

extension InferenceEngine {
  /// The likeliest continuations of several prompts that go through the model together.
  ///
  /// - Parameter beforeStep: called with the number of each step
  func greedy(
    _ prompts: [[Int32]], count: Int, plan: String, beforeStep: (Int) -> Void = { _ in }
  ) throws -> [[Int32]] {
    let scheduler = Scheduler(engine: self)
    let sequences = try prompts.map { prompt in
      let sequence = try makeSequence(KVCache.Plan(plan), slotType: .float32)
      sequence.append(prompt)
      sequence.requestLogits()
      scheduler.add(sequence)
      return sequence
    }
    var outputs = prompts.map { _ in [Int32]() }
    var step = 0
    beforeStep(step)
    while scheduler.step({ sequence, logits in
      guard let index = sequences.firstIndex(where: { $0 === sequence }) else { return }
      outputs[index].append(Int32(logits.indices.max { logits[$0] < logits[$1] } ?? 0))
      if let last = outputs[index].last, outputs[index].count < count {
        sequence.append(last)
        sequence.requestLogits()
      } else {
        scheduler.remove(sequence)
      }
    }) {
      step += 1
      beforeStep(step)
    }
    for sequence in sequences { if let failure = sequence.memory.failure { throw failure } }
    return outputs
  }
}

@Suite("Every family with its memory elsewhere")
struct FamilyOffloadTests {
  static let divisions = [
    WorkDivision(), WorkDivision(heads: 2), WorkDivision(requests: 2), WorkDivision(slots: 2), WorkDivision(slots: 4),
    WorkDivision(slots: 2, heads: 2),
  ]

  @Test("writes what it writes alone", arguments: FamilyModels.names)
  func greedy(name: String) throws {
    let (alone, tokens) = (try FamilyModels.engine(name), try FamilyModels.tokens(name))
    let layers = alone.model.configuration.layers
    let heads = layers.map(\.keyValueHeads).max() ?? 0
    for plan in ["full", "streaming-llm:4+20", "h2o:24", "snapkv:20[window=7]"] {
      guard let expected = try? alone.greedy(Array(tokens.prefix(33)), count: 9, plan: plan) else { continue }
      #expect(expected.count == 9)
      for division in Self.divisions where division.heads <= heads {
        for overlap in RemoteAttention.Overlap.allCases {
          let engine = try FamilyModels.engine(name)
          let remote = try TestWorkers(division.workers).attention(
            layers, division, options: .init(overlap: overlap))
          guard remote.problem(with: try KVCache.Plan(plan)) == nil else { continue }
          engine.attend(by: remote)
          let output = try engine.greedy(Array(tokens.prefix(33)), count: 9, plan: plan)
          #expect(output == expected, "\(plan) \(division) \(overlap)")
        }
      }
    }
  }
  /// Prompts of several lengths, so that they are read, end and are answered in the same steps; two batches take turns, or three.
  @Test("writes what it writes alone when batches take turns", arguments: FamilyModels.names)
  func staggered(name: String) throws {
    let (alone, tokens) = (try FamilyModels.engine(name), try FamilyModels.tokens(name))
    let layers = alone.model.configuration.layers
    let heads = layers.map(\.keyValueHeads).max() ?? 0
    let prompts = [33, 5, 12].map { Array(tokens.prefix($0)) }
    for plan in ["full", "streaming-llm:4+20", "h2o:24", "snapkv:20[window=7]"] {
      guard let expected = try? alone.greedy(prompts, count: 7, plan: plan) else { continue }
      #expect(expected.allSatisfy { $0.count == 7 })
      for division in Self.divisions where division.heads <= heads {
        for (overlap, lanes) in [(RemoteAttention.Overlap.never, 2), (.wherePaid, 2), (.always, 3)] {
          let engine = try FamilyModels.engine(name)
          let remote = try TestWorkers(division.workers).attention(
            layers, division, options: .init(overlap: overlap, lanes: lanes))
          guard remote.problem(with: try KVCache.Plan(plan)) == nil else { continue }
          engine.attend(by: remote)
          #expect(engine.lanes == lanes)
          let output = try engine.greedy(prompts, count: 7, plan: plan)
          #expect(output == expected, "\(plan) \(division) \(overlap), \(lanes) batches")
        }
      }
    }
  }
}
