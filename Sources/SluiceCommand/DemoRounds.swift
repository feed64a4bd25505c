/// Caches that read one text side by side, a chunk each a round, until the text or the time ends.
///
/// How far the text goes follows from the speed that is measured on the way. Where not all of them can come as far as
/// shows the point, those that matter least stay behind; the others always read the same tokens.
package struct DemoRounds {
  /// Caches that read.
  package let caches: Int
  /// The text's tokens.
  package let tokens: Int
  /// Tokens of a round.
  package let chunk: Int
  /// The tokens that show the point; 0 where the text is too short for it.
  package let enough: Int
  /// What reading may take in all.
  package let limit: Duration
  /// Caches that may stay behind, the first to do so first.
  package let optional: [Int]
  /// Caches that still read.
  package private(set) var reading: [Int]
  /// Tokens read by those that still do.
  package private(set) var position = 0

  private let now: () -> Duration
  private var start = Duration.zero
  /// Seconds that each cache has taken up to the end of each round.
  private var seconds: [[Double]]

  /// - Parameter now: A clock that never goes back, from any origin.
  package init(
    caches: Int, tokens: Int, chunk: Int, enough: Int, limit: Duration, optional: [Int], now: @escaping () -> Duration
  ) {
    precondition(caches > 0 && chunk > 0, "somebody reads something")
    (self.caches, self.tokens, self.chunk, self.limit) = (caches, tokens, chunk, limit)
    (self.enough, self.optional, self.now) = (enough > tokens ? 0 : enough, optional, now)
    reading = Array(0..<caches)
    seconds = Array(repeating: [], count: caches)
  }

  /// Reads until the text ends or the next round would not end in time; the first round is always read.
  ///
  /// - Parameters:
  ///   - read: lets a cache read a range of the text.
  ///   - afterChunk: called after each.
  package mutating func run(_ read: (Int, Range<Int>) throws -> Void, afterChunk: (DemoRounds) -> Void) rethrows {
    start = now()
    while position < tokens {
      let end = min(position + chunk, tokens)
      guard position == 0 || elapsed + expected(from: position, to: end) <= limit / .seconds(1) else { return }
      for cache in reading {
        let begin = now()
        try read(cache, position..<end)
        seconds[cache].append((seconds[cache].last ?? 0) + (now() - begin) / .seconds(1))
        afterChunk(self)
      }
      position = end
      leaveBehind()
    }
  }

  /// Seconds since reading began.
  package var elapsed: Double { (now() - start) / .seconds(1) }

  /// Tokens that there will probably be time for.
  package var goal: Int {
    guard position > 0 else { return tokens }
    var end = position
    while end < tokens, elapsed + expected(from: position, to: min(end + chunk, tokens)) <= limit / .seconds(1) {
      end = min(end + chunk, tokens)
    }
    return end
  }

  private mutating func leaveBehind() {
    // Fewer rounds say too little of how costs grow.
    guard position < enough, seconds[reading[0]].count >= 4 else { return }
    for cache in optional where elapsed + expected(from: position, to: enough) > limit / .seconds(1) {
      if reading.count > 1 { reading.removeAll { $0 == cache } }
    }
  }

  /// Seconds that all who read will take from one place of the text to another.
  private func expected(from first: Int, to last: Int) -> Double {
    reading.reduce(0) { $0 + expected(of: $1, from: first, to: last) }
  }

  /// A token costs a + b n after n others: what half of the rounds and all of them took says both.
  private func expected(of cache: Int, from first: Int, to last: Int) -> Double {
    let rounds = seconds[cache].count / 2 * 2
    guard rounds > 0 else {
      return (seconds[cache].last ?? 0) / Double(max(position, 1)) * Double(last - first)
    }
    let (n, whole, half) = (Double(rounds * chunk), seconds[cache][rounds - 1], seconds[cache][rounds / 2 - 1])
    let growth = max(0, 4 * (whole - 2 * half) / (n * n))
    let base = max(0, whole / n - growth * n / 2)
    let (from, to) = (Double(first), Double(last))
    return base * (to - from) + growth * (to * to - from * from) / 2
  }
}
