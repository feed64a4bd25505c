/// The polynomial that best stands for e^s where s is spread around a mean like a normal variable.
///
/// It is the expansion in Hermite polynomials up to `degree`, least squares optimal for s ~ N(mean, variance) where squared
/// errors are weighted by e^(−tilt s). With y = s − mean + tilt · variance, G₀ = 1, G₁ = y and
/// G_{j+1} = y G_j − j · variance · G_{j−1}:
///
///     P(s) = exp(mean + (1/2 − tilt) variance) · (G₀ + G₁ / 1! + … + G_g / g!)
///
/// Without variance it is the Taylor series around the mean. Single values may be negative where the variance is above 1; a
/// sum over values spread as assumed is not. Float64 throughout.
enum HermiteExponential {
  /// Doubles of scratch that `coefficients` wants.
  static func scratchDoubles(degree: Int) -> Int { 2 * (degree + 1) }

  /// Writes the coefficients of the sum, in powers of s, to `out`, `[degree + 1]`; returns the exponent before it.
  static func coefficients(
    degree: Int, mean: Double, variance: Double, tilt: Double, into out: UnsafeMutablePointer<Double>,
    scratch: UnsafeMutablePointer<Double>
  ) -> Double {
    // In powers of y first.
    var (previous, current) = (scratch, scratch + degree + 1)
    scratch.update(repeating: 0, count: scratchDoubles(degree: degree))
    out.update(repeating: 0, count: degree + 1)
    current[0] = 1
    var factorial = 1.0
    for order in 0...degree {
      if order > 0 { factorial *= Double(order) }
      for power in 0...order { out[power] += current[power] / factorial }
      guard order < degree else { break }
      // The next one takes the place of the last but one, from its highest power down.
      for power in (0...order + 1).reversed() {
        let raised = power > 0 ? current[power - 1] : 0
        previous[power] = raised - Double(order) * variance * previous[power]
      }
      swap(&previous, &current)
    }
    // y = s − shift.
    let shift = mean - tilt * variance
    for first in 0..<degree {
      for power in (first..<degree).reversed() { out[power] -= shift * out[power + 1] }
    }
    return mean + (0.5 - tilt) * variance
  }
}
