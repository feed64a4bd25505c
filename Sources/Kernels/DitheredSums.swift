/// Sums in float32 that do not drift, however many numbers are added: rounding is up or down at random, right on average.
///
/// Rounded to the nearest, a long sum takes all of a small number or nothing, always the same way: ten million equal
/// numbers make 9 % too much. Here a random part of the sum's last digit is added first (dither), which rounds up as often
/// as the exact sum asks for (stochastic rounding). The error of n equal numbers is then that of a random walk,
/// at most 2^-12 of the sum for any n, at no byte more.
package struct DitheredSums: Sendable {
  /// Numbers evenly spaced around 0 in an order without pattern, in units of a sum's leading binary digit; the first
  /// `longestRow` of them again at the end.
  private let dither: Buffer<Float>

  private static let period = 4096
  private static let longestRow = 1024

  /// All use the same numbers.
  package static let shared = DitheredSums()

  private init() {
    dither = Buffer(count: Self.period + Self.longestRow)
    var random = SplitMix64(seed: 1)
    let order = (0..<Self.period).shuffled(using: &random)
    for index in 0..<dither.count {
      dither[index] =
        (Float(order[index % Self.period]) + 0.5 - Float(Self.period / 2)) * (0x1p-23 / Float(Self.period))
    }
  }

  /// Adds the multiples of a row to rows of sums: `sums[i, j] += factors[i] * row[j]`.
  ///
  /// - Parameters:
  ///   - sums: `[count, columns]`
  ///   - seed: another word each time.
  package func add(
    _ row: UnsafePointer<Float>, times factors: UnsafePointer<Float>, toRowsOf sums: UnsafeMutablePointer<Float>,
    count: Int, columns: Int, seed: UInt64
  ) {
    var place = Int(truncatingIfNeeded: seed >> 40)
    for index in 0..<count {
      for first in stride(from: 0, to: columns, by: Self.longestRow) {
        add(
          row + first, times: factors[index], to: sums + index * columns + first,
          count: min(columns - first, Self.longestRow), dither: dither.pointer + place % Self.period)
        place += 1223
      }
    }
  }

  @inline(__always)
  private func add(
    _ row: UnsafePointer<Float>, times factor: Float, to sum: UnsafeMutablePointer<Float>, count: Int,
    dither: UnsafePointer<Float>
  ) {
    for index in 0..<count {
      let leading = Float(bitPattern: sum[index].bitPattern & 0x7F80_0000)
      sum[index] += row[index] * factor + leading * dither[index]
    }
  }
}
