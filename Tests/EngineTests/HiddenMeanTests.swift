import Engine
import KVCaches
import TestSupport
import Testing

/// The mean of last hidden states, which nothing shows but the logits made of them.
@Suite struct HiddenMeanTests {
  /// Logits are a matrix times a state, so those of the mean are the mean of all logits.
  @Test(arguments: [1, 16, 512], ["full", "window:16"])
  func `logits of the mean are the mean of the logits`(chunk: Int, plan: String) throws {
    let tiny = TinyModel()
    let ids = randomIDs(150, seed: 5)
    let single = try loadTiny(tiny, chunk: 1).single(plan)
    var expected = [Double](repeating: 0, count: TinyModel.vocabularySize)
    for id in ids {
      single.append([id])
      for (token, logit) in single.logits().enumerated() { expected[token] += Double(logit) / Double(ids.count) }
    }

    let loaded = try loadTiny(tiny, chunk: chunk)
    let scheduler = Scheduler(engine: loaded.engine)
    let mean = HiddenMean()
    // Others in the same steps have no part in it.
    let sequences = try (0..<3).map { _ in try loaded.engine.makeSequence(KVCache.Plan(plan), slotType: .float32) }
    sequences[1].hiddenMean = mean
    for (index, sequence) in sequences.enumerated() {
      sequence.append(index == 1 ? ids : randomIDs(40 + index, seed: UInt64(index)))
      sequence.requestLogits()
      scheduler.add(sequence)
    }
    scheduler.run()
    #expect(mean.count == ids.count)
    let states = mean.values
    let output = try #require(tiny.writer().tensors.first { $0.name == "output.weight" })
    let weights = output.data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    #expect(weights.count == TinyModel.vocabularySize * states.count)
    let found = (0..<TinyModel.vocabularySize).map { token in
      states.indices.reduce(Float(0)) { $0 + weights[token * states.count + $1] * states[$1] }
    }
    #expect(relativeError(found, expected.map { Float($0) }) < 1e-4)
  }
}
