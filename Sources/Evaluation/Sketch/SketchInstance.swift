import Foundation

/// Queries, keys and values of one head on which sketches are tried, each made from its position and a seed alone, so that
/// a stream of any length is nowhere held.
///
/// Keys are sines of `dim` phases. A value is the last entry of its key, changed a little by the first phase, so the mean of
/// the values that a query sees tends to 0 where the query's last entry is 0, however the rest of it looks. Outputs are
/// sparse over the queries where few, the hot ones, look along that last entry.
package struct SketchInstance: Sendable {
  package enum Keys: String, Sendable, CaseIterable {
    /// Each phase turns by a fixed angle a token, as rotary positions do, and the angles have no common measure: keys fill
    /// their space evenly, and sums over n of them are off by no more than a constant.
    case even
    /// Phases are independent: sums over n keys are off by sqrt(n).
    case independent
  }

  package let keys: Keys
  package let tokens: Int
  package let dim: Int
  package let valueDim: Int
  /// No |logit| is larger; a logit is the plain inner product.
  package let bound: Double
  /// Positions of the queries that look along the values; nil where all do.
  package let hotPositions: Set<Int>?
  private let seed: UInt64
  /// Turns of each phase a token, `[dim]`, and where they begin.
  private let turns, shifts: [Double]

  /// - Parameter hot: hot queries; nil where all are
  package init(
    _ keys: Keys, tokens: Int, dim: Int, valueDim: Int, bound: Double, hot: Int?, seed: UInt64
  ) {
    precondition(dim >= 2 && valueDim >= 1 && tokens >= max(hot ?? 1, 1), "a head with tokens")
    self.keys = keys
    self.tokens = tokens
    self.dim = dim
    self.valueDim = valueDim
    self.bound = bound
    self.seed = seed
    // The root of x^(dim + 1) = x + 1; its inverse powers are badly approximated by fractions, all of them together.
    var root = 1.5
    for _ in 0..<64 { root = pow(1 + root, 1 / Double(dim + 1)) }
    turns = (1...dim).map { pow(root, -Double($0)) }
    shifts = (0..<dim).map { SketchHash.unit(seed, Stream.shift, $0) }
    hotPositions = hot.map { count in
      var positions: Set<Int> = []
      var draw = 0
      while positions.count < count {
        positions.insert(Int(SketchHash.unit(seed, Stream.hot, draw) * Double(tokens)))
        draw += 1
      }
      return positions
    }
  }

  /// No |entry of a value| is larger.
  package var valueBound: Double { 1.5 }

  /// Numbers of all queries, keys and values.
  package var rawNumbers: Int { tokens * (2 * dim + valueDim) }

  /// `[dim]`, entries from −1 to 1.
  package func key(_ token: Int) -> [Double] { (0..<dim).map { sin(phase($0, token)) } }

  /// `[valueDim]`
  package func value(_ token: Int) -> [Double] {
    let (first, last) = (phase(0, token), sin(phase(dim - 1, token)))
    return (0..<valueDim).map { last * (1 + sin(first + 2 * .pi * Double($0) / Double(valueDim)) / 2) }
  }

  /// `[dim]`, absolute entries of a sum of at most `bound`.
  package func query(_ token: Int) -> [Double] {
    let draw = SketchHash.unit(seed, Stream.share, token)
    guard let hotPositions else { return direction(dim, token, length: bound) }
    guard hotPositions.contains(token) else { return direction(dim - 1, token, length: bound * draw) + [0] }
    let along = bound * (0.75 + 0.25 * draw)
    let sign = SketchHash.mix(seed, Stream.sign, UInt64(token)) & 1 == 0 ? 1.0 : -1
    return direction(dim - 1, token, length: bound - along) + [sign * along]
  }

  /// Exact attention of some queries to all keys by direct sums, `[query][valueDim]`, at `tokens` steps each.
  package func attention(of queries: some Sequence<Int>) -> [[Double]] {
    let (keys, values) = ((0..<tokens).map(key), (0..<tokens).map(value))
    return queries.map { position in
      let query = query(position)
      var sum = 0.0
      var output = [Double](repeating: 0, count: valueDim)
      for (key, value) in zip(keys, values) {
        var logit = 0.0
        for index in 0..<dim { logit += query[index] * key[index] }
        let weight = exp(logit)
        sum += weight
        for index in 0..<valueDim { output[index] += weight * value[index] }
      }
      return output.map { $0 / sum }
    }
  }

  private func phase(_ index: Int, _ token: Int) -> Double {
    let turn =
      keys == .even
      ? (Double(token) + 0.5) * turns[index] + shifts[index]
      : SketchHash.unit(seed, Stream.phase + UInt64(index), token)
    return 2 * .pi * (turn - turn.rounded(.down))
  }

  /// A random vector whose absolute entries have this sum, all such vectors alike.
  private func direction(_ count: Int, _ token: Int, length: Double) -> [Double] {
    let parts = (0..<count).map { index in
      -log(1 - SketchHash.unit(seed, Stream.entry + UInt64(index), token)) + .leastNormalMagnitude
    }
    let scale = length / parts.reduce(0, +)
    let signs = SketchHash.mix(seed, Stream.entrySigns, UInt64(token))
    return parts.enumerated().map { $1 * (signs >> UInt64($0) & 1 == 0 ? scale : -scale) }
  }

  /// What random numbers are for.
  private enum Stream {
    static let shift: UInt64 = 1, hot: UInt64 = 2, share: UInt64 = 3, sign: UInt64 = 4, entrySigns: UInt64 = 5
    static let phase: UInt64 = 1 << 8
    static let entry: UInt64 = 2 << 8
  }
}
