import CLibrary
import Kernels

extension SplitMix64 {
  /// Above 0 and at most 1, in steps of 2⁻⁵³.
  mutating func unit() -> Double { Double(next() >> 11 + 1) * 0x1p-53 }

  /// Exponential with that mean.
  mutating func exponential(mean: Double) -> Double { -mean * log(unit()) }

  /// Geometric from 1 on, with that mean, by inversion.
  mutating func geometric(mean: Double) -> Int {
    guard mean > 1 else { return 1 }
    return 1 + Int((log(unit()) / log1p(-1 / mean)).rounded(.down))
  }
}
