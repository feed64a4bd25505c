/// The polynomial of degree 2 that best stands for e^s where s is spread around a mean like a normal variable.
///
/// It is the expansion in Hermite polynomials, least squares optimal for s ~ N(mean, variance) where squared errors are
/// weighted by e^(−s / 2), midway between all tokens alike and each by its weight. With y = s − mean + variance / 2:
///
///     P(s) = exp(mean) · (1 + y + (y² − variance) / 2)
///
/// Without variance it is the Taylor series around the mean. Single values may be negative where the variance is above 1; a
/// sum over values spread as assumed is not. Float64 throughout.
struct HermiteExponential {
  /// The coefficients of 1, s and s², without the factor exp(mean).
  let constant: Double
  let linear: Double
  let quadratic = 0.5

  init(mean: Double, variance: Double) {
    // y = s − shift. Horner's scheme, in its order: rounding is part of what recorded digests hold.
    let shift = mean - variance / 2
    let half = 1 - shift / 2
    constant = 1 - variance / 2 - shift * half
    linear = half - shift / 2
  }
}
