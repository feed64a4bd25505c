import CLibrary
import Kernels

/// What summaries draw at random, from a source whose one word of state snapshots save.
struct SeededRandom: RandomNumberGenerator {
  private var source: SplitMix64

  var state: UInt64 { source.state }

  /// Goes on from a saved state.
  init(state: UInt64) { source = SplitMix64(seed: state) }

  /// The source of one of many heads, each of which draws by itself.
  init(seed: UInt64, head: Int) {
    var mixer = SplitMix64(seed: seed)
    source = SplitMix64(seed: mixer.next() ^ SplitMix64.mixed(UInt64(head) &+ 1))
  }

  mutating func next() -> UInt64 { source.next() }

  /// A number from 0 up to but not 1, of 53 bits.
  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A whole number from 0 up to but not `count`.
  mutating func index(below count: Int) -> Int { Int(next(upperBound: UInt64(count))) }

  /// How many of `count` coins show heads, each with probability `p`: one draw instead of `count`.
  ///
  /// Inversion: one uniform number walks along the exact probabilities of 0, 1, 2…, in steps as many as the result. Many
  /// likely coins are thrown in batches so small that the probability of none stays far above what a `Double` can hold.
  mutating func binomial(_ count: Int, _ p: Double) -> Int {
    guard p > 0 else { return 0 }
    guard p < 1 else { return count }
    if p > 0.5 { return count - binomial(count, 1 - p) }
    let logMiss = log1p(-p)
    let batch = min(Double(count), (300 / -logMiss).rounded(.down))
    var total = 0
    var left = count
    while left > 0 {
      let coins = min(left, Int(batch))
      total += inverted(coins, odds: p / (1 - p), none: exp(Double(coins) * logMiss))
      left -= coins
    }
    return total
  }

  /// One inversion; `none` is the probability of no heads.
  private mutating func inverted(_ coins: Int, odds: Double, none: Double) -> Int {
    var rest = uniform()
    var probability = none
    var heads = 0
    while rest >= probability && heads < coins {
      rest -= probability
      heads += 1
      probability *= odds * Double(coins - heads + 1) / Double(heads)
    }
    return heads
  }

  /// Calls `body` with `chosen` of the numbers below `count`, in order; every choice is equally likely.
  mutating func choose(_ chosen: Int, of count: Int, _ body: (Int) -> Void) {
    var wanted = chosen
    for index in 0..<count where wanted > 0 {
      if wanted == count - index || self.index(below: count - index) < wanted {
        body(index)
        wanted -= 1
      }
    }
  }
}
