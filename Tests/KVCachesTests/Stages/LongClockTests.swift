import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Streams so long that clocks pass 2^32: a cache whose clocks are all shifted by a multiple of its periods goes on as if
/// they were not.
@Suite("Clocks beyond 2^32")
struct LongClockTests {
  /// Beside the matrix: orders that depend on the place in the stream, and choices made again later.
  static let plans =
    StageMatrix.plans + [
      "cascading:28/3[eager=off]", "cascading:12/3[sinks=0,eager=off,schedule=pow3]",
      "cascading:20/4[eager=off,select=off]",
      "snapkv:20[window=7,mode=every-prefill]", "k-center:20[window=7]", "h2o:16[sinks=0]",
      "tova:15[positions=clipped]",
    ]

  private static let shape = KVCache.Shape(layers: 2, queryHeads: 4, keyValueHeads: 2, headDim: 32)
  private static let tokens = 110
  /// Tokens before clocks are shifted: no cache of the list has room any more.
  private static let before = 60

  private static func greatestCommonDivisor(_ a: Int64, _ b: Int64) -> Int64 {
    b == 0 ? a : greatestCommonDivisor(b, a % b)
  }

  /// A multiple of all periods, and of the sizes of rings that turn with the place in the stream.
  private func period(_ plan: KVCache.Plan) -> Int64 {
    var periods: [Int64] = [1]
    for stage in plan.stages {
      switch stage {
      case let window as Window: periods.append(Int64(window.size * (window.period ?? 1)))
      case let prompt as Prompt: periods.append(Int64(prompt.window))
      default: break
      }
    }
    return periods.reduce(1) { $0 / Self.greatestCommonDivisor($0, $1) * $1 }
  }

  /// The snapshot with all clocks so many tokens later.
  private func shifted(_ snapshot: [UInt8], _ plan: KVCache.Plan, by shift: Int64) -> [UInt8] {
    let forge = SnapshotForge(snapshot)
    var changes = [0: forge.counter(0) + shift]
    var index = 1
    for stage in plan.stages {
      let counters = stage.blueprint.makeStage().counters.count
      switch stage {
      case let window as Window:
        // Appended tokens, and the clock that counts them.
        let appended = shift / Int64(window.period ?? 1)
        for counter in index...index + 1 { changes[counter] = forge.counter(counter) + appended }
      case is Tokens, is Pages: changes[index + 1] = forge.counter(index + 1) + shift
      case is Segment: changes[index + 2] = forge.counter(index + 2) + shift
      default: break
      }
      index += counters
    }
    return forge.with(changes)
  }

  @Test(
    "a stream that goes on far later goes on bit for bit", arguments: plans, [1 << 32, 1 << 33, 1 << 52] as [Int64])
  func shift(text: String, least: Int64) throws {
    let plan = try KVCache.Plan(text)
    let period = period(plan)
    let shift = (least / period + 1) * period
    let losesNothing = plan.capacity == nil && plan.prompt == nil && plan.stages.count > 1
    let original = plan.stages.contains { $0.blueprint.distance == .original }
    for positions in [PositionEncoding.none, .linearBias(slopes: [0.5, 0.25, 0.125, 1])] {
      if case .linearBias = positions, original { continue }
      let sequence = TokenSequence(shape: Self.shape, positions: positions, count: Self.tokens, seed: 29)
      for (threads, chunking) in [(1, Chunking.sizes([1, 1, 6, 1, 9])), (3, .sizes([7, 1, 1, 20]))] {
        let team = try WorkerTeam(threads: threads)
        let attention = LocalAttention(layers: sequence.layers, team: team, kernels: InstructionSet.current)
        let make = { try KVCache(plan: plan, layers: sequence.layers, slotType: .float16) }
        let (near, far) = (try make(), try make())
        _ = attention.run(near, sequence, tokens: 0..<Self.before, chunking: .sizes([9, 1, 14]))
        near.finishPrompt(team: team, kernels: .current)
        try far.restore(shifted(near.snapshot(), plan, by: shift))
        #expect(far.tokenCount == near.tokenCount + shift)
        // Taken up by both, so that neither has anything from before.
        try near.restore(near.snapshot())
        for tokens in [Self.before..<90, 90..<Self.tokens] {
          let outputs = attention.run(far, sequence, tokens: tokens, chunking: chunking)
          let expected = attention.run(near, sequence, tokens: tokens, chunking: chunking)
          if losesNothing {
            // What is one run of slots there is two here, where the sinks are not at the stream's start.
            #expect(Self.shape.largestError(outputs, expected).0 <= 1e-6, "\(text), \(chunking)")
          } else {
            #expect(outputs == expected, "\(text), \(chunking)")
          }
          // Of a share, the share of a longer stream is another number.
          if !text.contains("ratio") { for cache in [near, far] { cache.finishPrompt(team: team, kernels: .current) } }
          #expect(shifted(near.snapshot(), plan, by: shift) == far.snapshot(), "\(text), \(chunking)")
        }
      }
    }
  }
}
