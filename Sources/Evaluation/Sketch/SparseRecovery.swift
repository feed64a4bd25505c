import Kernels

/// A linear sketch of a long vector from which its largest entries can be read: CountSketch.
///
/// Every entry is added, with a sign, to one bucket of each row; the median of what its buckets say is its estimate. Buckets
/// and signs are hashes of the position, so nothing is stored for them.
///
/// Source: Charikar, Chen, Farach-Colton, "Finding Frequent Items in Data Streams", 2002.
package struct SparseRecovery: Sendable, Hashable {
  /// An odd number, at least 2 ln n to be safe; of which each sees the whole vector.
  package let rows: Int
  /// At least 16 times the entries to be found: with fewer, false ones appear.
  package let buckets: Int
  private let seed: UInt64

  package init(rows: Int, buckets: Int, seed: UInt64) {
    precondition(rows % 2 == 1 && rows > 0 && buckets > 0, "an odd number of rows has a median")
    self.rows = rows
    self.buckets = buckets
    self.seed = seed
  }

  /// Numbers in the sketch of a vector.
  package var size: Int { rows * buckets }

  /// Where an entry is added in a row of the sketch, as an index into all of it, and with which sign.
  package func place(_ position: Int, row: Int) -> (index: Int, sign: Double) {
    let hash = SketchHash.mix(seed, UInt64(row), UInt64(position))
    return (row * buckets + Int((hash >> 1) % UInt64(buckets)), hash & 1 == 0 ? 1 : -1)
  }

  /// The `kept` entries with the largest estimates of a vector of `count`, by position.
  ///
  /// Every position is asked for, at `rows` steps each; the paper's scheme decodes faster.
  ///
  /// - Parameter sketch: `[row, bucket]`
  package func recover(_ sketch: [Double], count: Int, keeping kept: Int) -> [(position: Int, value: Double)] {
    precondition(sketch.count == size, "a sketch of another size")
    var estimates = [Double](repeating: 0, count: rows)
    let all = (0..<count).map { position in
      for row in 0..<rows {
        let place = place(position, row: row)
        estimates[row] = place.sign * sketch[place.index]
      }
      return (position: position, value: estimates.sorted()[rows / 2])
    }
    let largest = all.sorted { (abs($0.value), $1.position) > (abs($1.value), $0.position) }.prefix(kept)
    return largest.sorted { $0.position < $1.position }
  }
}

/// A hash of a few numbers, by the finaliser of SplitMix64.
enum SketchHash {
  static func mix(_ seed: UInt64, _ first: UInt64, _ second: UInt64) -> UInt64 {
    finish(finish(seed &+ first &* 0xD1B5_4A32_D192_ED03) ^ second &* SplitMix64.increment)
  }

  private static func finish(_ value: UInt64) -> UInt64 { SplitMix64.mixed(value &+ SplitMix64.increment) }
}
