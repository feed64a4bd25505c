import AttentionOffload
import CacheTestSupport
import Engine
import KVCaches
import Kernels
import Models
import Testing

@Suite("A worker that is lost")
struct LossTests {
  static let plans = ["full", "streaming-llm:4+20", "h2o:24", "snapkv:20[window=7]", "sinks:4,window:9,clusters:12"]

  private func engine(_ model: String, _ workers: TestWorkers, _ division: WorkDivision) throws -> InferenceEngine {
    let engine = try FamilyModels.engine(model)
    engine.attend(
      by: try workers.attention(
        engine.model.configuration.layers, division, options: .init(overlap: .always, patience: 0)))
    return engine
  }

  /// Before each of the frames of a token the worker is lost, and comes back without memory.
  @Test("is given its part again, and the text goes on as it was", arguments: plans, ["llama3-rope", "qwen35"])
  func everyFrame(plan: String, model: String) throws {
    let prompt = Array(try FamilyModels.tokens(model).prefix(33))
    let alone = try FamilyModels.engine(model)
    guard let expected = try? alone.greedy(prompt, count: 9, plan: plan) else { return }
    for division in [WorkDivision(heads: 2), WorkDivision(requests: 2)] {
      var frame = 0
      var hasLost = true
      while hasLost {
        let workers = try TestWorkers(2)
        let engine = try engine(model, workers, division)
        hasLost = false
        let output = try engine.greedy(prompt, count: 9, plan: plan) { token in
          guard token == 5, let channel = workers.channels[division.heads - 1].last else { return }
          channel.framesLeft = frame
        }
        for channel in workers.channels[division.heads - 1] where channel.framesLeft == 0 { hasLost = true }
        #expect(output == expected, "\(division), before frame \(frame)")
        frame += 1
      }
      // A step, and queries and keys for each layer, of at least one token.
      #expect(frame > 4)
    }
  }

  @Test("while a prompt is read", arguments: plans)
  func inPrompt(plan: String) throws {
    let prompt = Array(try FamilyModels.tokens("llama3-rope").prefix(33))
    let expected = try FamilyModels.engine("llama3-rope").greedy(prompt, count: 5, plan: plan)
    for frame in 0..<12 {
      let workers = try TestWorkers(2)
      let engine = try engine("llama3-rope", workers, WorkDivision(heads: 2))
      let output = try engine.greedy(prompt, count: 5, plan: plan) { token in
        if token == 0 { workers.channels[1].last?.framesLeft = 2 + frame }
      }
      #expect(output == expected, "before frame \(frame)")
    }
  }

  /// Two batches are under way when the worker is lost, before each of its frames of a step.
  @Test("while batches take turns", arguments: [WorkDivision(heads: 2), WorkDivision(requests: 2)])
  func takingTurns(division: WorkDivision) throws {
    let tokens = try FamilyModels.tokens("llama3-rope")
    let prompts = [33, 5, 12].map { Array(tokens.prefix($0)) }
    let expected = try FamilyModels.engine("llama3-rope").greedy(prompts, count: 7, plan: "full")
    let layers = try FamilyModels.engine("llama3-rope").model.configuration.layers
    for lostStep in [1, 5] {
      for frame in 0...2 * (1 + 2 * layers.count) {
        let workers = try TestWorkers(2)
        let engine = try FamilyModels.engine("llama3-rope")
        engine.attend(
          by: try workers.attention(layers, division, options: .init(overlap: .always, patience: 0, lanes: 2)))
        let output = try engine.greedy(prompts, count: 7, plan: "full") { step in
          if step == lostStep { workers.channels[1].last?.framesLeft = frame }
        }
        #expect(output == expected, "\(division), before frame \(frame) of step \(lostStep)")
      }
    }
  }

  @Test("for good is replaced by another one")
  func replacement() throws {
    let prompt = Array(try FamilyModels.tokens("llama3-rope").prefix(33))
    let expected = try FamilyModels.engine("llama3-rope").greedy(prompt, count: 9, plan: "full")
    let workers = try TestWorkers(2)
    let engine = try engine("llama3-rope", workers, WorkDivision(heads: 2))
    let output = try engine.greedy(prompt, count: 9, plan: "full") { token in
      guard token == 4 else { return }
      workers.gone = [1]
      workers.channels[1].last?.close()
    }
    #expect(output == expected)
    #expect(workers.workers[1].heldBytes == 0 || workers.channels[0].count > 1)
  }

  @Test("with all others ends the text in one line")
  func allLost() throws {
    let prompt = Array(try FamilyModels.tokens("llama3-rope").prefix(33))
    let workers = try TestWorkers(2)
    let engine = try engine("llama3-rope", workers, WorkDivision(heads: 2))
    #expect(throws: KVCacheError.self) {
      try engine.greedy(prompt, count: 9, plan: "full") { token in
        guard token == 4 else { return }
        workers.gone = [0, 1]
        for channels in workers.channels { channels.last?.close() }
      }
    }
  }

  @Test("takes only its own requests along")
  func otherRequests() throws {
    let prompt = Array(try FamilyModels.tokens("llama3-rope").prefix(20))
    let workers = try TestWorkers(2)
    let engine = try engine("llama3-rope", workers, WorkDivision(requests: 2))
    let sequences = try (0..<2).map { _ in try engine.makeSequence(.full, slotType: .float32) }
    let scheduler = Scheduler(engine: engine)
    for (index, sequence) in sequences.enumerated() {
      sequence.append(Array(prompt.dropLast(index)))
      sequence.requestLogits()
      scheduler.add(sequence)
    }
    let heldBefore = { workers.workers[0].heldBytes }
    workers.channels[1].last?.framesLeft = 3
    var served: [Int: Int] = [:]
    var steps = 0
    while scheduler.step({ sequence, _ in served[sequences[0] === sequence ? 0 : 1, default: 0] = steps }) {
      steps += 1
    }
    #expect(served[0] != nil && served[1] != nil)
    #expect(served[0]! < served[1]!, "the first is served in the step in which the other's worker is lost")
    #expect(heldBefore() > 0 && workers.channels[0].count == 1)
  }
}

@Suite("A model worker that is lost")
struct ModelWorkerLossTests {
  /// Tokens one by one; before each frame of one of them the model worker is lost, and its successor repeats the token.
  @Test("repeats its token", arguments: ["full", "streaming-llm:4+12", "h2o:16", "sinks:2,window:7,clusters:9"])
  func repeatedToken(text: String) throws {
    let (plan, sequence) = (try KVCache.Plan(text), OffloadSubject.sequences[0])
    let local = LocalAttention(layers: OffloadSubject.layers, team: try WorkerTeam(threads: 1), kernels: .current)
    let expected = local.run(
      try local.makeMemory(plan, slotType: .float16), sequence, 0..<50, .sizes([20, 1]))
    for (lost, both) in (0..<6).flatMap({ [($0, true), ($0, false)] }) {
      let workers = try TestWorkers(2)
      var options = RemoteAttention.Options(overlap: .always)
      options.session = 99
      var remote = try workers.attention(OffloadSubject.layers, WorkDivision(heads: 2), options: options)
      var memory = try remote.makeMemory(plan, slotType: .float16)
      _ = remote.run(memory, sequence, 0..<40, .sizes([20, 1]))
      // Both workers, or only the second one, get that many frames of the token, which then nobody goes on with.
      for channels in workers.channels[(both ? 0 : 1)...] { channels.last?.framesLeft = lost }
      _ = remote.run(memory, sequence, 40..<41, .ones)
      options.epoch = 1
      remote = try workers.attention(OffloadSubject.layers, WorkDivision(heads: 2), options: options)
      memory = try remote.resumeMemory(plan, slotType: .float16, number: 0)
      let count = Int(memory.tokenCount)
      // The step, then queries and keys of two layers.
      #expect(count == (lost < 5 ? 40 : 41), "after \(lost) frames")
      let outputs = remote.run(memory, sequence, count..<50, .ones)
      #expect(memory.failure == nil)
      let width = OffloadSubject.shape.queryHeads * OffloadSubject.shape.headDim
      for (output, expected) in zip(outputs, expected) {
        #expect(output == Array(expected[count * width..<50 * width]), "after \(lost) frames")
      }
    }
  }

  @Test("cannot go on in the place of its successor")
  func epochs() throws {
    let workers = try TestWorkers(1)
    var options = RemoteAttention.Options(overlap: .always)
    (options.session, options.epoch) = (5, 3)
    let first = try workers.attention(OffloadSubject.layers, WorkDivision(), options: options)
    let memory = try first.makeMemory(.full, slotType: .float16)
    workers.channels[0].last?.close()
    #expect(throws: OffloadError.self) {
      try workers.attention(OffloadSubject.layers, WorkDivision(), options: options)
    }
    options.epoch = 4
    let second = try workers.attention(OffloadSubject.layers, WorkDivision(), options: options)
    _ = first.run(memory, OffloadSubject.sequences[0], 0..<3, .whole)
    #expect(memory.failure != nil)
    let other = try second.makeMemory(.full, slotType: .float16)
    _ = second.run(other, OffloadSubject.sequences[0], 0..<3, .whole)
    #expect(other.failure == nil)
  }
}
