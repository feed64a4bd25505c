package import Engine
package import KVCaches
package import Kernels
import Models

/// How fast a model reads a prompt and writes text, beside what the machine's memory allows.
package struct SpeedRun: Sendable {
  package var prefillTokensPerSecond: Double
  package var decodeTokensPerSecond: Double
  /// Bytes per second that all threads together can read from memory, measured just before.
  package var readBandwidth: Double
  /// Bytes that one decoded token reads: weights, and keys and values held at the end.
  package var bytesPerToken: Int

  /// The share of memory bandwidth that decoding reaches; above 1 where the caches of the CPU help.
  package var fractionOfLimit: Double { decodeTokensPerSecond * Double(bytesPerToken) / readBandwidth }

  /// Measures one model with one cache: `prefill` tokens at the given depth, then `decode` single tokens.
  ///
  /// The ids are arbitrary, since time does not depend on them. One warm-up of each comes first.
  package static func measure(
    _ engine: InferenceEngine, plan: KVCache.Plan, slotType: KVCache.SlotType, prefill: Int, decode: Int, depth: Int
  ) throws(KVCacheError) -> SpeedRun {
    let vocabulary = engine.vocabularySize
    let ids = { (count: Int) in (0..<count).map { Int32($0 &* 7919 % vocabulary) } }
    let bandwidth = readBandwidth(engine.team)
    let warmUp = try engine.makeCache(plan, slotType: slotType)
    engine.feed(ids(min(prefill, engine.chunk)), cache: warmUp)
    engine.feed(ids(1), cache: warmUp)
    let cache = try engine.makeCache(plan, slotType: slotType)
    engine.feed(ids(depth), cache: cache)
    let prefillSeconds = seconds {
      engine.feed(ids(prefill), cache: cache)
      if prefill > 0 { _ = engine.logits(row: 0) }
    }
    let decodeSeconds = seconds {
      for id in ids(decode) {
        engine.feed([id], cache: cache)
        _ = engine.logits(row: 0)
      }
    }
    let perSlot = KVCache.bytesPerToken(shape: cache.shape, slotType: slotType)
    return SpeedRun(
      prefillTokensPerSecond: Double(prefill) / prefillSeconds, decodeTokensPerSecond: Double(decode) / decodeSeconds,
      readBandwidth: bandwidth, bytesPerToken: engine.model.bytesPerToken + cache.heldTokens * perSlot)
  }

  private static func seconds(_ body: () -> Void) -> Double {
    let clock = ContinuousClock()
    return max(clock.measure(body) / .seconds(1), 1e-9)
  }

  /// The best of five sums over 512 MiB.
  package static func readBandwidth(_ team: WorkerTeam) -> Double {
    let buffer = Buffer<UInt64>(count: 64 << 20)
    let sums = Buffer<UInt64>(count: team.threads * 8)
    let sum = {
      team.forEachThread { thread in
        let share = buffer.count / team.threads
        let first = buffer.pointer + thread * share
        var (a, b, c, d): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for index in stride(from: 0, to: share & ~31, by: 32) {
          for lane in 0..<8 {
            a &+= first[index + lane]
            b &+= first[index + 8 + lane]
            c &+= first[index + 16 + lane]
            d &+= first[index + 24 + lane]
          }
        }
        sums.pointer[thread * 8] = a &+ b &+ c &+ d
      }
    }
    team.forEachThread { thread in
      let share = buffer.count / team.threads
      (buffer.pointer + thread * share).update(repeating: UInt64(thread), count: share)
    }
    let best = (0..<5).map { _ in seconds(sum) }.min() ?? 1
    return Double(buffer.count * 8) / best
  }
}
