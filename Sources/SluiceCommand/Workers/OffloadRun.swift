import AttentionOffload
import Engine
import Evaluation
import KVCaches
import Kernels
import Models
import Simulation

/// How long tokens take with attention by workers, by what the network between does and by batches that take turns.
struct OffloadRun {
  struct Options {
    /// Sequences that are decoded together, and tokens that each holds before.
    var sequences = 4
    var depth = 512
    /// Steps of a measurement, and how often each is made.
    var steps = 16
    var rounds = 3
    /// What the network does in turn; nil leaves it as it is.
    var networks: [ShapedRelay.Shape?] = []
    var batches = [1, 2]
  }

  /// What one network and number of batches came to, in seconds of a step of all sequences.
  struct Row {
    let network: ShapedRelay.Shape?
    let batches: Int
    let seconds: Double
    /// Of all workers together, for one step.
    let times: OffloadTimes
    let formula: TokenTime
    /// What was measured over what the formula says.
    var difference: Double { seconds / formula.seconds }
  }

  private let engine: InferenceEngine
  private let options: Options
  private let slotType: KVCache.SlotType
  /// What a step takes in this process, which workers are held to, for so many sequences of a batch.
  private let local: StepTimesRun
  private let sizes: [Int]

  /// - Throws: `KVCacheError` where the caches do not fit the model or this machine.
  init(_ engine: InferenceEngine, slotType: KVCache.SlotType, options: Options) throws {
    (self.engine, self.slotType, self.options) = (engine, slotType, options)
    sizes = Set(options.batches.map { Self.largestBatch(options.sequences, $0) }).sorted()
    var times = StepTimesRun.Options()
    (times.batches, times.lengths, times.steps) = (sizes, [options.depth], options.steps)
    local = try StepTimesRun(engine, slotType: slotType, options: times)
  }

  /// The place, among those measured in this process, of the batches that there are of so many.
  private func size(of batches: Int) -> Int {
    sizes.firstIndex(of: Self.largestBatch(options.sequences, batches)) ?? 0
  }

  private static func largestBatch(_ sequences: Int, _ batches: Int) -> Int { (sequences + batches - 1) / batches }

  /// Measures each network in turn, and before and after each what the formula takes: machines change their speed within
  /// seconds. Of each the round in the middle by its difference from the formula counts.
  ///
  /// - Parameters:
  ///   - attention: to workers, over `connections`
  ///   - take: called with each row
  func measure(_ attention: RemoteAttention, over connections: ShapedChannel.Network, _ take: (Row) -> Void) throws {
    engine.attend(by: attention)
    let tokens = (0..<options.depth).map { Int32(($0 + 1) * 7919 % engine.vocabularySize) }
    let caches = try (0..<options.sequences).map { _ in try engine.makeCache(.full, slotType: slotType) }
    for cache in caches {
      engine.feed(tokens, cache: cache)
      if let failure = cache.failure { throw failure }
      try cache.keepUndoLog(depth: options.steps + 1)
    }
    for network in options.networks {
      connections.shape = network ?? .none
      var rows: [Int: [Row]] = [:]
      var before = local.measure()
      for _ in 0..<options.rounds {
        var measured: [Measurement] = []
        for batches in options.batches {
          let slice = before.model[size(of: batches)] / Double(attention.exchangesOfStep)
          let roundTrip = try attention.roundTrip(of: caches[0], count: 63, pause: slice)
          measured.append(try measure(attention, caches, batches: batches, roundTrip))
        }
        let after = local.measure()
        for one in measured {
          let alone = StepTimesRun.Times(meanOf: [before, after])
          rows[one.batches, default: []].append(row(one, alone, network, layers: attention.exchangesOfStep))
        }
        before = after
      }
      for batches in options.batches {
        let sorted = rows[batches, default: []].sorted { $0.difference < $1.difference }
        take(sorted[sorted.count / 2])
      }
    }
  }

  /// A step by workers, beside the round trip of that moment.
  private struct Measurement {
    let batches: Int
    let seconds: Double
    let times: OffloadTimes
    let roundTrip: (seconds: Double, sending: Double)
  }

  private func measure(
    _ attention: RemoteAttention, _ caches: [KVCache], batches: Int, _ roundTrip: (seconds: Double, sending: Double)
  ) throws -> Measurement {
    let size = Self.largestBatch(caches.count, batches)
    let all = stride(from: 0, to: caches.count, by: size).map { first in
      let batch = Batch(capacity: size)
      for index in first..<min(first + size, caches.count) {
        batch.append(Int32(index + 1), memory: caches[index], needsLogits: true)
      }
      return batch
    }
    step(all[...])
    let before = attention.times
    let seconds = MachineLimits.fastest(of: 1) { for _ in 0..<options.steps { step(all[...]) } }
    let times = (attention.times - before) / Double(options.steps)
    for cache in caches {
      if let failure = cache.failure { throw failure }
      _ = try cache.rollBack(tokens: options.steps + 1)
    }
    return Measurement(
      batches: batches, seconds: seconds / Double(options.steps), times: times, roundTrip: roundTrip)
  }

  /// - Parameter alone: what the two parts of a step take in this process at that time
  private func row(
    _ measured: Measurement, _ alone: StepTimesRun.Times, _ network: ShapedRelay.Shape?, layers: Int
  ) -> Row {
    let (index, times, roundTrip) = (size(of: measured.batches), measured.times, measured.roundTrip)
    let largest = Self.largestBatch(options.sequences, measured.batches)
    let count = (options.sequences + largest - 1) / largest
    let handling = (times.packing + times.sending) / Double(count) - Double(layers) * roundTrip.sending
    return Row(
      network: network, batches: count, seconds: measured.seconds, times: times,
      formula: TokenTime(
        layers: layers, batches: count, model: alone.model[index], attention: alone.attention[index][0],
        handling: max(0, handling), roundTrip: roundTrip.seconds,
        bytes: Double(times.bytesSent + times.bytesReceived) / Double(count), rate: network?.rate))
  }

  private func step(_ batches: ArraySlice<Batch>) {
    engine.step(batches)
    for (lane, batch) in batches.enumerated() { engine.forEachLogits(of: batch.logitRows, lane: lane) { _, _ in } }
  }
}
