package import Kernels

/// Tests seed their random inputs, so that a failing one names its seed and fails again.
extension SplitMix64 {
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
