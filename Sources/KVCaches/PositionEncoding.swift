import CLibrary
package import Kernels

/// How a model's attention knows distances.
package enum PositionEncoding: Sendable, Hashable {
  /// Rotary embedding (RoPE): queries and keys are rotated by their positions.
  case rotary(RotaryEmbedding)
  /// ALiBi: a logit loses `slope × distance`; one slope per query head.
  case linearBias(slopes: [Float])
  /// No positions.
  case none

  /// Dimensions of a head that are rotated.
  package var rotaryDim: Int {
    if case .rotary(let rotary) = self { rotary.dim } else { 0 }
  }
}

/// The constants of a rotary embedding.
///
/// Angles are reduced in Float64, so that positions of many millions lose no accuracy.
package struct RotaryEmbedding: Sendable, Hashable {
  /// Angle per position of each pair, `[dim / 2]`.
  package let frequencies: [Double]
  package let layout: RotaryLayout

  package init(frequencies: [Double], layout: RotaryLayout) {
    precondition(!frequencies.isEmpty)
    self.frequencies = frequencies
    self.layout = layout
  }

  /// Unscaled frequencies `base^(-2i / dim)`.
  package init(dim: Int, base: Double, layout: RotaryLayout) {
    self.init(frequencies: Self.frequencies(dim: dim, base: base), layout: layout)
  }

  package static func frequencies(dim: Int, base: Double) -> [Double] {
    (0..<dim / 2).map { pow(base, -2 * Double($0) / Double(dim)) }
  }

  /// Dimensions of a head that are rotated.
  package var dim: Int { 2 * frequencies.count }

  /// Writes the cosines and sines of one position, `[dim / 2]` each.
  package func angles(
    at position: Int64, cosine: UnsafeMutablePointer<Float>, sine: UnsafeMutablePointer<Float>
  ) {
    frequencies.withUnsafeBufferPointer {
      guard let base = $0.baseAddress else { return }
      Self.angles(at: position, frequencies: base, count: $0.count, cosine: cosine, sine: sine)
    }
  }

  /// Turns the cosines and sines of a position, `[dim / 2]` each, into the means over it and a span of positions behind it.
  ///
  /// Pairs that turn fast fade, since at unknown distances their parts of a logit cancel out; slow ones turn on.
  package func spread(over span: Int64, cosine: UnsafeMutablePointer<Float>, sine: UnsafeMutablePointer<Float>) {
    for index in 0..<frequencies.count {
      // The mean of e^(i frequency x) over x from 0 to the span.
      let angle = max(Double(span) * frequencies[index], 1e-9)
      let (real, imaginary) = (Float(sin(angle) / angle), Float((1 - cos(angle)) / angle))
      let (oldCosine, oldSine) = (cosine[index], sine[index])
      cosine[index] = oldCosine * real - oldSine * imaginary
      sine[index] = oldCosine * imaginary + oldSine * real
    }
  }

  /// Writes the cosines and sines of one position for `count` frequencies.
  static func angles(
    at position: Int64, frequencies: UnsafePointer<Double>, count: Int, cosine: UnsafeMutablePointer<Float>,
    sine: UnsafeMutablePointer<Float>
  ) {
    for index in 0..<count {
      let angle = (Double(position) * frequencies[index]).truncatingRemainder(dividingBy: 2 * .pi)
      cosine[index] = Float(cos(angle))
      sine[index] = Float(sin(angle))
    }
  }
}
