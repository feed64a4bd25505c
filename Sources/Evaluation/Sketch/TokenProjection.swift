/// A random matrix Ψ that shortens a sum over tokens to `rows` numbers and keeps inner products, in expectation
/// (Johnson and Lindenstrauss). Entries are hashes of row and token.
package struct TokenProjection: Sendable, Hashable {
  package enum Entries: Sendable, Hashable {
    /// ±1 / sqrt(rows) everywhere.
    case signs
    /// ±1 in one row for each token: the same variance of inner products, and `rows` times faster.
    case oneSign
  }

  package let rows: Int
  package let entries: Entries
  private let seed: UInt64

  package init(rows: Int, entries: Entries, seed: UInt64) {
    precondition(rows > 0, "a projection has rows")
    self.rows = rows
    self.entries = entries
    self.seed = seed
  }

  /// Calls with every row in which a token has an entry.
  package func forEachEntry(of token: Int, _ body: (_ row: Int, _ value: Double) -> Void) {
    switch entries {
    case .signs:
      let unit = 1 / Double(rows).squareRoot()
      var bits: UInt64 = 0
      for row in 0..<rows {
        if row % 64 == 0 { bits = SketchHash.mix(seed, UInt64(row), UInt64(token)) }
        body(row, bits & 1 == 0 ? unit : -unit)
        bits >>= 1
      }
    case .oneSign:
      let hash = SketchHash.mix(seed, 0, UInt64(token))
      body(Int((hash >> 1) % UInt64(rows)), hash & 1 == 0 ? 1 : -1)
    }
  }
}
