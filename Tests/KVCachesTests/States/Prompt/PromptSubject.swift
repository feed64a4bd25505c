import CacheTestSupport
import Kernels
import Testing

@testable import KVCaches

/// A cache that chooses among a prompt's tokens, a model of three layers, and a sequence for both.
struct PromptSubject {
  /// Caches that vote.
  static let voting = [
    "snapkv:40[window=8]", "snapkv:40[window=8,kernel=5,pool=avg]", "snapkv:24[window=1,pool=none]",
    "snapkv:60[window=33,reduce=max]", "snapkv[window=8,ratio=0.75]", "snapkv[window=8,ratio=1]",
    "snapkv:40[window=8,layers=pyramid]", "snapkv:40[window=8,heads=adaptive]",
    "snapkv:40[window=8,layers=pyramid,heads=adaptive,pool=none]", "prompt:30[window=8,mode=every-prefill]",
    "snapkv:40[window=8,heads=adaptive,mode=every-prefill]", "snapkv:40[window=8,sinks=4]",
    "snapkv:40[window=8,sinks=9,layers=pyramid,heads=adaptive]",
    "snapkv:40[window=8,layers=pyramid,heads=adaptive,mode=every-prefill]", "snapkv:40[window=8,heads=floor]",
    "snapkv:43[window=8,layers=pyramid,heads=floor]",
  ]

  /// Caches that choose in other ways.
  static let others = [
    "snapkv:40[choose=random,window=8]", "prompt[choose=random,ratio=0.75,window=8,layers=pyramid]",
    "k-center:44", "k-center:40[window=8,sinks=3]", "k-center:40[window=8]",
    "k-center:40[window=8,mode=every-prefill]", "k-center:40[window=8,layers=pyramid]",
    "k-center:40[window=8,recompress=16]", "k-center[ratio=0.3]", "k-center[ratio=0.4,layers=pyramid]",
    "k-center[ratio=0.1,mode=every-prefill]",
  ]

  let text: String
  let plan: KVCache.Plan
  let shape: KVCache.Shape
  let sequence: TokenSequence
  let attention: LocalAttention
  let team: WorkerTeam
  let slotType: KVCache.SlotType

  init(
    _ plan: String, group: Int = 2, keyValueHeads: Int = 2, slotType: KVCache.SlotType = .float32, threads: Int = 1,
    layout: RotaryLayout = .halves, positions: PositionEncoding? = nil, count: Int = 220
  ) throws {
    text = plan
    self.plan = try KVCache.Plan(plan)
    self.slotType = slotType
    shape = KVCache.Shape(
      layers: 3, queryHeads: group * keyValueHeads, keyValueHeads: keyValueHeads, headDim: 32)
    let positions = positions ?? .rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: layout))
    sequence = TokenSequence(shape: shape, positions: positions, count: count, seed: 41)
    team = try WorkerTeam(threads: threads)
    attention = LocalAttention(shape: shape, team: team, kernels: InstructionSet.current)
  }

  func makeCache(_ plan: KVCache.Plan? = nil) throws -> KVCache {
    try KVCache(plan: plan ?? self.plan, shape: shape, slotType: slotType, positions: sequence.positions)
  }

  @discardableResult
  func run(_ cache: KVCache, _ count: Int, _ chunking: Chunking = .sizes([50]), _ sequence: TokenSequence? = nil)
    -> [[Float]]
  {
    let first = Int(cache.tokenCount)
    return attention.run(cache, sequence ?? self.sequence, tokens: first..<first + count, chunking: chunking)
  }

  func chosen(_ cache: KVCache) -> [[Int]]? {
    let group = cache.groups[0]
    return group.state(PromptState.self)?.choose(group, team: team, kernels: InstructionSet.current)?.map(\.slots)
  }

  func finish(_ cache: KVCache) { cache.finishPrompt(team: team, kernels: InstructionSet.current) }

  /// The digits behind a part of the specification.
  private func number(_ before: String) -> Int? {
    guard let range = text.firstRange(of: before) else { return nil }
    return Int(text[range.upperBound...].prefix { $0.isNumber })
  }

  /// The tokens that each layer of a cache of `plan` chooses after so many, for a head; from the specification's text alone.
  func budgets(_ cache: KVCache) throws -> [Int] {
    let count = Int(cache.tokenCount)
    var window = number("window=") ?? 32
    var mean = 0
    if text.hasPrefix("k-center[ratio=0."), let tenths = number("ratio=0.") {
      // What a capacity of the other tenths would keep: a quarter of it is the window.
      let kept = count * (10 - tenths) / 10
      window = max(32, kept / 4)
      mean = max(0, kept - window)
    }
    let candidates = count - window
    // What falls from 2 × mean − mean / 20 to mean / 20 over three layers has the mean in the middle.
    if text.contains("ratio=0.75") {
      mean = candidates / 4
    } else if text.contains("ratio=1") {
      mean = 0
    } else if !text.contains("ratio=") {
      mean = min(try #require(number(":")) - window, candidates)
    }
    guard text.contains("layers=pyramid") else { return [mean, mean, mean] }
    let first = min(2 * mean - mean / 20, candidates)
    return [first, mean, 2 * mean - first]
  }
}
