import Foundation

/// A linear sketch of a long vector from which its largest entries can be read: CountSketch.
///
/// Every entry is added, with a sign, to one bucket of each row; the median of what its buckets say is its estimate. Buckets
/// and signs are hashes of the position, so nothing is stored for them.
///
/// Source: Charikar, Chen, Farach-Colton, "Finding Frequent Items in Data Streams", 2002.
package struct SparseRecovery: Sendable, Hashable {
  /// An odd number, of which each sees the whole vector; `safeRows` of them, or some entry is misread.
  package let rows: Int
  /// `safeBuckets` of them, or false entries appear.
  package let buckets: Int
  private let seed: UInt64

  package init(rows: Int, buckets: Int, seed: UInt64) {
    precondition(rows % 2 == 1 && rows > 0 && buckets > 0, "an odd number of rows has a median")
    self.rows = rows
    self.buckets = buckets
    self.seed = seed
  }

  /// Rows for a vector of so many entries: the least odd number that is at least 2 ln n, so that of n medians none fails.
  package static func safeRows(entries: Int) -> Int {
    let least = Int((2 * log(Double(max(entries, 2)))).rounded(.up))
    return least % 2 == 1 ? least : least + 1
  }

  /// Buckets of a row where `kept` entries are to be found with at most 1 + `excess` times the smallest possible error.
  package static func safeBuckets(keeping kept: Int, excess: Double) -> Int {
    Int((16 * Double(kept) / max(excess, 0.25)).rounded(.up))
  }

  /// Numbers in the sketch of a vector.
  package var size: Int { rows * buckets }

  /// Where an entry is added in a row of the sketch, as an index into all of it, and with which sign.
  package func place(_ position: Int, row: Int) -> (index: Int, sign: Double) {
    let hash = SketchHash.mix(seed, UInt64(row), UInt64(position))
    return (row * buckets + Int((hash >> 1) % UInt64(buckets)), hash & 1 == 0 ? 1 : -1)
  }

  /// The sketch of a vector, `[row, bucket]`.
  package func sketch(of vector: [Double]) -> [Double] {
    var sketch = [Double](repeating: 0, count: size)
    for (position, value) in vector.enumerated() {
      for row in 0..<rows {
        let place = place(position, row: row)
        sketch[place.index] += place.sign * value
      }
    }
    return sketch
  }

  /// The `kept` entries with the largest estimates of a vector of `count`, by position.
  ///
  /// Every position is asked for, at `rows` steps each and in memory for the kept ones; the paper's scheme decodes faster.
  ///
  /// - Parameter sketch: `[row, bucket]`
  package func recover(_ sketch: [Double], count: Int, keeping kept: Int) -> [(position: Int, value: Double)] {
    precondition(sketch.count == size, "a sketch of another size")
    var estimates = [Double](repeating: 0, count: rows)
    var largest = LargestEntries(capacity: kept)
    for position in 0..<count {
      for row in 0..<rows {
        let place = place(position, row: row)
        let estimate = place.sign * sketch[place.index]
        var index = row
        while index > 0, estimates[index - 1] > estimate {
          estimates[index] = estimates[index - 1]
          index -= 1
        }
        estimates[index] = estimate
      }
      largest.insert(estimates[rows / 2], at: position)
    }
    return largest.entries.sorted { $0.position < $1.position }
  }
}
