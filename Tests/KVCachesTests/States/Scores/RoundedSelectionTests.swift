import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// Caches that choose by score as models run them: rounded slots, weights kept as halves, 16-bit products, chunks of
/// several tiles a group of the sums. A decision nearer than the rounding is no error; the lists then follow the cache.
@Suite("Caches that choose by rounded scores")
struct RoundedSelectionTests {
  struct Subject: Sendable, CustomStringConvertible {
    var plan: String
    var group: Int
    var headDim: Int
    var slotType = KVCache.SlotType.float16
    var keyValueHeads = 1

    var description: String { "\(plan), group \(group), head size \(headDim), \(slotType.rawValue)" }
  }

  static let subjects = [
    Subject(plan: "cascading:100/4", group: 3, headDim: 64, keyValueHeads: 2),
    Subject(plan: "cascading:100/4", group: 8, headDim: 80),
    Subject(plan: "cascading:100/4[reduce=mean]", group: 4, headDim: 64, keyValueHeads: 2),
    Subject(plan: "cascading:60/3[homogeneous=on,gamma=0.99]", group: 4, headDim: 80, keyValueHeads: 2),
    Subject(plan: "h2o:100", group: 3, headDim: 64, keyValueHeads: 2),
    Subject(plan: "h2o:100", group: 4, headDim: 80),
    Subject(plan: "h2o:100", group: 8, headDim: 64),
    Subject(plan: "h2o:100[positions=clipped]", group: 8, headDim: 80),
    Subject(plan: "tova:60", group: 4, headDim: 64, keyValueHeads: 2),
    Subject(plan: "tova:60[homogeneous=on]", group: 8, headDim: 80, keyValueHeads: 2),
    Subject(plan: "h2o:100", group: 1, headDim: 80, keyValueHeads: 2),
    Subject(plan: "h2o:100", group: 8, headDim: 64, slotType: .float32),
    Subject(plan: "cascading:100/4", group: 4, headDim: 80, slotType: .float32),
    Subject(plan: "h2o:100", group: 8, headDim: 64, slotType: .bfloat16),
    Subject(plan: "cascading:100/4", group: 4, headDim: 80, slotType: .bfloat16),
    Subject(plan: "h2o:100", group: 8, headDim: 64, slotType: .q8_0),
    Subject(plan: "cascading:100/4", group: 4, headDim: 64, slotType: .q8_0),
  ]

  private static let tokens = 500
  /// A chunk that no bounded group of the sums takes in one tile, single tokens, and what is between.
  private static let chunking = Chunking.sizes([430, 1, 1, 30, 1, 7, 1, 29])

  @Test("a long chunk and what follows equals the lists, but for ties within the rounding", arguments: subjects)
  func equalsLists(subject: Subject) throws {
    let shape = KVCache.Shape(
      layers: 1, queryHeads: subject.group * subject.keyValueHeads, keyValueHeads: subject.keyValueHeads,
      headDim: subject.headDim)
    let positions = PositionEncoding.rotary(RotaryEmbedding(dim: subject.headDim, base: 10_000, layout: .halves))
    var sequence = TokenSequence(shape: shape, positions: positions, count: Self.tokens, seed: 71)
    var random = SplitMix64(seed: 72)
    // Some tokens matter more than others, so that most decisions are clear.
    for token in 0..<Self.tokens {
      for head in 0..<shape.keyValueHeads {
        sequence.scaleKey(
          layer: 0, token: token, head: head, by: Float.random(in: 0.3...1.5, using: &random))
      }
    }
    let plan = try KVCache.Plan(subject.plan)
    let lists = ReferenceSelection(sequence, plan: plan)
    var held = lists.empty
    let cache = try KVCache(plan: plan, shape: shape, slotType: subject.slotType, positions: positions)
    cache.recordTokens()
    let attention = LocalAttention(shape: shape, team: try WorkerTeam(threads: 2), kernels: InstructionSet.current)
    let tolerance = CacheCase.tolerance(subject.slotType)
    var (first, swapped, decided) = (0, 0, 0)
    for size in Self.chunking.sizes(Self.tokens) {
      let chunk = first..<first + size
      let outputs = attention.step(cache, sequence, tokens: chunk)
      let expected = lists.step(layer: 0, chunk: chunk, &held)
      let (error, place) = shape.largestError(outputs, [expected.outputs])
      #expect(error <= tolerance, "\(subject), tokens \(chunk): \(place)")
      for head in held.indices {
        let kept = Set(cache.heldTokens(layer: 0, head: head))
        let (lost, gained) = (held[head].tokens.subtracting(kept), kept.subtracting(held[head].tokens))
        decided += min(size, kept.count)
        swapped += lost.count
        let gap = gap(lost, gained, worth: expected.worth[head])
        #expect(gap <= 4 * Double(tolerance), "\(subject), tokens \(chunk): \(lost) went and not \(gained)")
        held[head].take(kept.sorted(), worth: expected.worth[head])
      }
      first += size
    }
    #expect(decided > 100 && 10 * swapped < decided, "\(subject): \(swapped) of \(decided) are no ties")
  }

  /// By how much the worth of tokens that a cache let go and of those it kept instead differs, relative to it; infinity where
  /// they are not as many.
  private func gap(_ lost: Set<Int>, _ gained: Set<Int>, worth: [Int: Double]) -> Double {
    guard lost.count == gained.count else { return .infinity }
    let values = { (tokens: Set<Int>) in tokens.map { worth[$0] ?? -.infinity }.sorted() }
    return zip(values(lost), values(gained)).map { abs($0 - $1) / max($0, $1) }.max() ?? 0
  }
}

extension ReferenceSelection.Holdings {
  /// All tokens held.
  fileprivate var tokens: Set<Int> { Set(sinks + (levels.flatMap { $0 } + scored).map(\.token)) }

  /// Takes over which tokens are held, ascending: sinks are the oldest, then what was chosen, then level after level.
  fileprivate mutating func take(_ tokens: [Int], worth: [Int: Double]) {
    var rest = tokens.dropFirst(sinks.count).map { ReferenceSelection.Held(token: $0, score: worth[$0] ?? 0) }[...]
    let count = scored.count
    scored = Array(rest.prefix(count))
    rest = rest.dropFirst(count)
    for level in levels.indices.reversed() {
      let count = levels[level].count
      levels[level] = Array(rest.prefix(count))
      rest = rest.dropFirst(count)
    }
  }
}
