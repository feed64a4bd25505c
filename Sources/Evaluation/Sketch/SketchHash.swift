import Kernels

/// Random numbers that are never stored: hashes of a seed and of what they belong to, by the finaliser of SplitMix64.
enum SketchHash {
  static func mix(_ seed: UInt64, _ first: UInt64, _ second: UInt64) -> UInt64 {
    finish(finish(seed &+ first &* 0xD1B5_4A32_D192_ED03) ^ second &* SplitMix64.increment)
  }

  /// A number in [0, 1).
  static func unit(_ seed: UInt64, _ first: UInt64, _ second: Int) -> Double {
    Double(mix(seed, first, UInt64(second)) >> 11) * 0x1p-53
  }

  private static func finish(_ value: UInt64) -> UInt64 { SplitMix64.mixed(value &+ SplitMix64.increment) }
}
