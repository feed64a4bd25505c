import Engine
import Evaluation
import Foundation
import KVCaches
import Models
import TestSupport
import Testing

@Suite struct PerplexityRunTests {
  private func load(chunk: Int) throws -> InferenceEngine { try TinyModel().load(chunk: chunk).engine }

  private static let ids = TinyModel.tokens(200)

  /// -log softmax(logits)[target], in Float64.
  private func negativeLogLikelihood(_ logits: [Float], _ target: Int32) -> Double {
    let largest = Double(logits.max() ?? 0)
    return log(logits.reduce(0) { $0 + exp(Double($1) - largest) }) + largest - Double(logits[Int(target)])
  }

  /// Each score from a sequence that is fed one token at a time.
  private func direct(_ plan: KVCache.Plan, _ engine: InferenceEngine) throws -> [Double] {
    let (scheduler, sequence) = (Scheduler(engine: engine), try engine.makeSequence(plan, slotType: .float32))
    return zip(Self.ids, Self.ids.dropFirst()).map { id, next in
      sequence.append(id)
      return negativeLogLikelihood(scheduler.logits(of: sequence).map { Array($0) } ?? [], next)
    }
  }

  /// Each score from a sequence of its own: token t is predicted by a fresh pass over the window that its stride ends.
  private func recomputed(window: Int, stride: Int, _ engine: InferenceEngine) throws -> [Double] {
    try (1..<Self.ids.count).map { target in
      // Strides are [0, stride), [stride, 2 stride)…, the last may be short. The pass ends where the stride does.
      let end = min((target - 1) / stride * stride + stride, Self.ids.count - 1)
      let (scheduler, sequence) = (Scheduler(engine: engine), try engine.makeSequence(.full, slotType: .float32))
      sequence.append(Array(Self.ids[max(0, end - window)..<target]))
      return negativeLogLikelihood(scheduler.logits(of: sequence).map { Array($0) } ?? [], Self.ids[target])
    }
  }

  /// All scores of a run that gets its tokens in pieces.
  private func scores(_ policy: CachePolicy, piece: Int, _ engine: InferenceEngine) throws -> [Double] {
    let run = try PerplexityRun(engine: engine, policy: policy, slotType: .float32)
    #expect(run.perplexity == nil)
    var scores: [Double] = []
    for start in stride(from: 0, to: Self.ids.count, by: piece) {
      run.append(Array(Self.ids[start..<min(start + piece, Self.ids.count)])) {
        scores += $0
        #expect(run.scoredTokens == scores.count)
      }
    }
    run.finish { scores += $0 }
    run.finish { _ in Issue.record("there is nothing left") }
    #expect(run.scoredTokens == scores.count)
    #expect(abs(run.totalNegativeLogLikelihood - scores.reduce(0, +)) < 1e-9)
    let perplexity = try #require(run.perplexity)
    #expect(abs(log(perplexity) - scores.reduce(0, +) / Double(scores.count)) < 1e-9)
    return scores
  }

  private func expectEqual(_ scores: [Double], _ expected: [Double], _ what: String) {
    #expect(scores.count == expected.count, "\(what)")
    let difference = zip(scores, expected).map { abs($0 - $1) }.max() ?? .infinity
    #expect(difference < 1e-4, "\(what): \(difference)")
  }

  @Test(arguments: ["full", "window:16", "streaming-llm:4+12", "window:1", "streaming-llm:3+180"])
  func `scores are those of one token at a time`(plan: String) throws {
    let expected = try direct(KVCache.Plan(plan), load(chunk: 512))
    for chunk in [1, 7, 64, 512] {
      let engine = try load(chunk: chunk)
      for piece in [1, 13, 200] {
        expectEqual(
          try scores(CachePolicy(plan), piece: piece, engine), expected, "\(plan), chunk \(chunk), piece \(piece)")
      }
    }
  }

  @Test(arguments: [(16, 1), (16, 5), (16, 16), (1, 1), (40, 13), (400, 3), (400, 400)])
  func `recomputation is a fresh sequence for every stride`(window: Int, stride: Int) throws {
    let expected = try recomputed(window: window, stride: stride, load(chunk: 512))
    for chunk in [6, 512] {
      let engine = try load(chunk: chunk)
      for piece in [1, 50, 200] {
        expectEqual(
          try scores(.recompute(window: window, stride: stride), piece: piece, engine), expected,
          "window \(window), stride \(stride), chunk \(chunk), piece \(piece)")
      }
    }
  }

  @Test func `fewer than two tokens score nothing`() throws {
    let engine = try load(chunk: 8)
    for policy in [CachePolicy.plan(.full, name: "full"), .recompute(window: 4, stride: 2)] {
      for ids in [[], [7]] as [[Int32]] {
        let run = try PerplexityRun(engine: engine, policy: policy)
        run.append(ids)
        run.finish()
        #expect(run.scoredTokens == 0 && run.perplexity == nil)
      }
    }
  }

  @Test func `cache bytes are those of the plan`() throws {
    let engine = try load(chunk: 16)
    let shape = engine.model.configuration.attention
    for (policy, plan) in [
      (try CachePolicy("streaming-llm:4+12"), try KVCache.Plan("streaming-llm:4+12")),
      (.recompute(window: 16, stride: 4), try KVCache.Plan("window:16")), (try CachePolicy("full"), .full),
    ] {
      let run = try PerplexityRun(engine: engine, policy: policy, slotType: .float16)
      run.append(Self.ids)
      run.finish()
      #expect(run.cacheBytesPeak == KVCache.bytes(plan: plan, shape: shape, slotType: .float16, tokens: 199))
    }
  }

  @Test(arguments: ["streaming-llm:4+12", "recompute:16/8"])
  func `memory does not grow with the stream`(policy: String) throws {
    let engine = try load(chunk: 64)
    let run = try PerplexityRun(engine: engine, policy: CachePolicy(policy))
    for _ in 0..<50 {
      run.append(Self.ids)
      #expect(run.waitingTokens <= 64 + 16)
    }
    #expect(run.scoredTokens > 9900)
  }
}
