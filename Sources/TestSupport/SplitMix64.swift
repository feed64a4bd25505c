/// A small seeded random source (Steele, Lea, Flood 2014), so that a failing test names its seed and fails again.
package struct SplitMix64: RandomNumberGenerator {
  package var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A standard normal value (Box-Muller, one of the pair).
  package mutating func normal() -> Float {
    let u = Double.random(in: Double.leastNonzeroMagnitude..<1, using: &self)
    let v = Double.random(in: 0..<1, using: &self)
    return Float((-2 * u.logarithm).squareRoot() * (2 * Double.pi * v).cosine)
  }

  package mutating func normals(_ count: Int, scale: Float = 1) -> [Float] {
    (0..<count).map { _ in normal() * scale }
  }
}
