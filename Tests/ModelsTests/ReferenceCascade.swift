/// What one KV head holds under a cascade of windows, as its paper says it: lists of tokens, which fall from one to the next
/// (arXiv 2406.17808, section 3). Tokens come one by one.
struct ReferenceCascade {
  private struct Held {
    var token: Int
    /// The attention that it was given, a running sum that fades.
    var score: Double
  }

  private let sinkCount: Int
  private let sizes: [Int]
  private let decay = 0.9999
  private var sinks: [Int] = []
  /// Newest window first, each oldest token first; window i is for every 2^i-th token.
  private var windows: [[Held]]

  init(sinks: Int, windows sizes: [Int]) {
    (sinkCount, self.sizes) = (sinks, sizes)
    windows = sizes.map { _ in [] }
  }

  /// Oldest first.
  var held: [Int] { sinks + windows.reversed().flatMap { $0.map(\.token) } }

  /// Takes in the token that came, once it and what is held have been attended to.
  ///
  /// - Parameter credits: the attention that each of them was given, by token
  mutating func take(_ token: Int, credits: [Int: Double]) {
    for level in windows.indices {
      for index in windows[level].indices {
        let held = windows[level][index]
        windows[level][index].score = held.score * decay + (credits[held.token] ?? 0)
      }
    }
    guard sinks.count == sinkCount else { return sinks.append(token) }
    let isFilling = token <= sinkCount + sizes.reduce(0, +)
    var falling = Held(token: token, score: credits[token] ?? 0)
    for (level, size) in sizes.enumerated() {
      guard isFilling || (token - sinkCount) % (1 << level) == 0 || windows[level].isEmpty else {
        // Not its turn: it competes with the newest of the window for that one's place.
        let newest = windows[level].count - 1
        if falling.score >= windows[level][newest].score { windows[level][newest] = falling }
        return
      }
      windows[level].append(falling)
      guard windows[level].count > size else { return }
      falling = windows[level].removeFirst()
    }
  }
}
