import Kernels

/// How the tokens of a sequence are cut into steps.
package enum Chunking: Sendable, CustomStringConvertible {
  case ones
  case random(largest: Int, seed: UInt64)
  case sizes([Int])
  case whole

  package var description: String {
    switch self {
    case .ones: "one by one"
    case .random(let largest, let seed): "random chunks up to \(largest), seed \(seed)"
    case .sizes(let sizes): "chunks \(sizes)"
    case .whole: "one chunk"
    }
  }

  /// The sizes of chunks, of `count` tokens together; the last size of a list repeats.
  package func sizes(_ count: Int) -> [Int] {
    var left = count
    var sizes: [Int] = []
    var random = SplitMix64(seed: 1)
    if case .random(_, let seed) = self { random = SplitMix64(seed: seed) }
    while left > 0 {
      let wanted =
        switch self {
        case .ones: 1
        case .whole: count
        case .random(let largest, _): Int.random(in: 1...largest, using: &random)
        case .sizes(let list): sizes.count < list.count ? list[sizes.count] : list.last ?? 1
        }
      sizes.append(min(wanted, left))
      left -= sizes.last ?? 0
    }
    return sizes
  }
}
