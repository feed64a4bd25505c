import Engine
import KVCaches
import Models
import TestSupport
import Testing

@testable import Evaluation
@testable import Kernels

/// What a speed run counts; how fast anything is depends on the machine and is no test's business.
@Suite struct SpeedRunTests {
  private func engine() throws -> InferenceEngine {
    try withTemporaryDirectory { folder in
      try LanguageModel.Loaded(
        path: TinyModel().write(in: folder), options: LanguageModel.Options(threads: 1, chunk: 64)
      ).engine
    }
  }

  @Test func `shares of the limits are what the figures say`() {
    let limits = MachineLimits(
      threads: 1, instructionSet: "", readBandwidth: 1000, float32: 1, bfloat16: nil, int8: nil)
    let run = SpeedRun(
      prefillTokensPerSecond: 50, decodeTokensPerSecond: 2, batchedDecodeTokensPerSecond: 6, sequences: 3,
      limits: limits, weightBytes: 300, cacheBytes: 100, leastSecondsPerToken: 0.01)
    #expect(run.prefillFractionOfLimit == 0.5)
    #expect(run.fractionOfLimit == 0.8)
    #expect(run.batchedFractionOfLimit == 1.2)
  }

  @Test func `the weights of the layers are counted by type, the output matrix is not`() throws {
    let matrices = 32 * 32 + 16 * 32 + 16 * 32 + 32 * 32 + 3 * 64 * 32
    #expect(try engine().model.layerWeights == [.float32: 2 * matrices])
  }

  @Test(arguments: ["full", "streaming-llm:4+12"])
  func `prompt and text start at the depth, however it was reached`(plan: String) throws {
    let engine = try engine()
    let plan = try KVCache.Plan(plan)
    for fills in [false, true] {
      for depth in [0, 40] {
        var options = SpeedRun.Options()
        (options.prefill, options.decode, options.depth, options.fillsDepth) = (7, 3, depth, fills)
        (options.sequences, options.rounds) = (2, 2)
        let cache = try engine.makeCache(plan, slotType: .float16)
        let measurement = SpeedMeasurement(engine: engine, options: options, cache: cache)
        #expect(measurement.prefillSeconds() > 0 && cache.tokenCount == Int64(depth + 7))
        #expect(measurement.decodeSeconds() > 0 && cache.tokenCount == Int64(depth + 4))
        let other = try engine.makeCache(plan, slotType: .float16)
        #expect(measurement.decodeSeconds([cache, other]) > 0)
        #expect(cache.tokenCount == Int64(depth + 4) && other.tokenCount == Int64(depth + 4))
      }
    }
  }

  @Test func `the median counts`() throws {
    var options = SpeedRun.Options()
    let engine = try engine()
    let cache = try engine.makeCache(.full, slotType: .float16)
    for (times, median) in [([4.0], 4.0), ([9, 1, 2], 2), ([8, 1, 4, 2], 3)] {
      options.rounds = times.count
      var rest = times[...]
      let measurement = SpeedMeasurement(engine: engine, options: options, cache: cache)
      #expect(measurement.median { rest.removeFirst() } == median)
    }
  }
}
