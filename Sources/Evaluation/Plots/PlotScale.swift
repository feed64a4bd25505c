import Foundation

/// The mapping from the values of one axis to pixels, with its ticks.
struct PlotScale {
  struct Tick: Equatable {
    let value: Double
    let label: String
  }

  let axis: Plot.Axis
  /// The values at the two ends of the axis, lower first.
  let lower: Double
  let upper: Double
  let ticks: [Tick]

  /// A scale that shows `values`, extended to round numbers where `rounded` (never where the axis fixes its range).
  init(axis: Plot.Axis, values: some Sequence<Double>, rounded: Bool) {
    self.axis = axis
    let isLogarithmic = axis.scale == .logarithmic
    var smallest = Double.infinity
    var largest = -Double.infinity
    func include(_ value: Double) {
      guard Self.canDraw(value, on: axis.scale) else { return }
      smallest = min(smallest, value)
      largest = max(largest, value)
    }
    if let range = axis.range {
      include(range.lowerBound)
      include(range.upperBound)
    } else {
      for value in values { include(value) }
      if axis.includesZero { include(0) }
    }
    if smallest > largest { (smallest, largest) = isLogarithmic ? (1, 10) : (0, 1) }
    if smallest == largest {
      if isLogarithmic {
        (smallest, largest) = (smallest / 2, largest * 2)
      } else {
        let margin = smallest == 0 ? 1 : abs(smallest) / 2
        (smallest, largest) = (smallest - margin, largest + margin)
      }
    }

    let isRounded = rounded && axis.range == nil
    if isLogarithmic, isRounded {
      (smallest, largest) =
        axis.unit == .bytes
        ? (exp2(log2(smallest).rounded(.down)), exp2(log2(largest).rounded(.up)))
        : (Ticks.roundDown(smallest), Ticks.roundUp(largest))
    } else if isRounded {
      let step = Ticks.step(smallest, largest, unit: axis.unit)
      (smallest, largest) = ((smallest / step).rounded(.down) * step, (largest / step).rounded(.up) * step)
    }
    lower = smallest
    upper = largest
    let values =
      isLogarithmic
      ? Ticks.logarithmic(lower, upper, unit: axis.unit) : Ticks.linear(lower, upper, unit: axis.unit)
    ticks = zip(values, Ticks.labels(values, axis: axis)).map { Tick(value: $0, label: $1) }
  }

  /// Where a value lies, 0 at the lower end and 1 at the upper; nil where it cannot be drawn.
  func fraction(_ value: Double) -> Double? {
    guard Self.canDraw(value, on: axis.scale) else { return nil }
    guard axis.scale == .logarithmic else { return (value - lower) / (upper - lower) }
    return log(value / lower) / log(upper / lower)
  }

  /// Whether a value has a place on such an axis: a number, no larger than arithmetic on ranges bears, positive for logarithms.
  static func canDraw(_ value: Double, on scale: Plot.Axis.Scale) -> Bool {
    guard abs(value) < 1e100 else { return false }
    return scale == .linear || value > 1e-100
  }
}

/// Round numbers on an axis and how they are written.
enum Ticks {
  /// The one of 1, 2, 5 times a power of ten that cuts the range into about five parts; in binary units for bytes.
  static func step(_ lower: Double, _ upper: Double, unit: Plot.Axis.Unit) -> Double {
    let scale = unit == .bytes ? binaryUnit(max(abs(lower), abs(upper))).size : 1
    let ideal = (upper - lower) / scale / 5
    let below = floor125(ideal)
    let above = roundUp(below * 1.01)
    // The nearer of the two by ratio.
    return (ideal / below < above / ideal ? below : above) * scale
  }

  static func linear(_ lower: Double, _ upper: Double, unit: Plot.Axis.Unit) -> [Double] {
    let step = step(lower, upper, unit: unit)
    guard step > 0, step.isFinite else { return [lower, upper] }
    // The tolerance keeps a bound that a rounding error moved past its tick.
    let first = (lower / step - 1e-9).rounded(.up)
    let last = (upper / step + 1e-9).rounded(.down)
    return stride(from: first, through: last, by: 1).map { $0 * step }
  }

  /// Powers of ten (of two for bytes), with 2 and 5 between them, or linear ticks, until there are at least three.
  static func logarithmic(_ lower: Double, _ upper: Double, unit: Plot.Axis.Unit) -> [Double] {
    func inside(_ values: [Double]) -> [Double] {
      values.filter { $0 >= lower * (1 - 1e-9) && $0 <= upper * (1 + 1e-9) }
    }
    if unit == .bytes {
      let exponents = Int(log2(lower).rounded(.down))...Int(log2(upper).rounded(.up))
      let ticks = inside(exponents.map { exp2(Double($0)) })
      if ticks.count >= 3 { return everyNth(ticks, atMost: 6) }
    } else {
      let exponents = Int(log10(lower).rounded(.down))...Int(log10(upper).rounded(.up))
      let decades = inside(exponents.map { power10($0) })
      if decades.count >= 4 { return everyNth(decades, atMost: 7) }
      let ticks = inside(exponents.flatMap { exponent in [1, 2, 5].map { $0 * power10(exponent) } })
      if ticks.count >= 3 { return ticks }
    }
    return linear(lower, upper, unit: unit)
  }

  /// The labels of all ticks of an axis; where the short form would write two ticks alike, numbers are written out.
  static func labels(_ values: [Double], axis: Plot.Axis) -> [String] {
    // Equal steps read best in one unit (0.5 MiB, 1 MiB); powers of two in the unit of each.
    let largest = axis.scale == .linear ? values.map(abs).max() : nil
    let short = values.map { label($0, unit: axis.unit, binaryUnit: binaryUnit(largest ?? abs($0))) }
    return Set(short).count == short.count ? short : values.map { plain($0, decimals: 9) }
  }

  private static func label(
    _ value: Double, unit: Plot.Axis.Unit, binaryUnit: (size: Double, name: String)
  ) -> String {
    switch unit {
    case .number:
      return plain(value, decimals: 6)
    case .count:
      for (size, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where abs(value) >= size {
        return plain(value / size, decimals: 2) + suffix
      }
      return plain(value, decimals: 2)
    case .bytes:
      return value == 0 ? "0" : plain(value / binaryUnit.size, decimals: 2) + " " + binaryUnit.name
    }
  }

  /// A number in plain decimals without trailing zeros, with an exponent only where plain decimals are unreadable.
  static func plain(_ value: Double, decimals: Int) -> String {
    guard value == 0 || (abs(value) >= 1e-6 && abs(value) < 1e12) else { return "\(value)" }
    let scaled = (abs(value) * power10(decimals)).rounded()
    guard scaled < 1e18 else { return "\(value)" }
    let one = Int(power10(decimals))
    let (whole, rest) = Int(scaled).quotientAndRemainder(dividingBy: one)
    var digits = String(String(rest + one).dropFirst())
    while digits.hasSuffix("0") { digits.removeLast() }
    let sign = value < 0 && scaled > 0 ? "−" : ""
    return sign + String(whole) + (digits.isEmpty ? "" : "." + digits)
  }

  static func roundDown(_ value: Double) -> Double { floor125(value * (1 + 1e-9)) }

  static func roundUp(_ value: Double) -> Double {
    let below = floor125(value * (1 + 1e-9))
    if below >= value * (1 - 1e-9) { return below }
    let leading = below / power10(Int(log10(below * (1 + 1e-9)).rounded(.down)))
    return leading > 1.5 && leading < 3 ? below * 2.5 : below * 2
  }

  /// The largest of 1, 2, 5 times a power of ten that is not above `value`.
  private static func floor125(_ value: Double) -> Double {
    guard value > 0, value.isFinite else { return 1 }
    let decade = power10(Int(log10(value).rounded(.down)))
    let leading = value / decade
    return (leading >= 5 ? 5 : leading >= 2 ? 2 : 1) * decade
  }

  /// Exact for the exponents that occur, unlike `pow` on every platform.
  private static func power10(_ exponent: Int) -> Double { Double("1e\(exponent)") ?? 0 }

  private static func everyNth(_ values: [Double], atMost limit: Int) -> [Double] {
    let step = (values.count + limit - 1) / limit
    return values.indices.filter { $0 % step == 0 }.map { values[$0] }
  }

  private static func binaryUnit(_ value: Double) -> (size: Double, name: String) {
    var size = 1.0
    for name in ["B", "KiB", "MiB", "GiB"] {
      if value < size * 1024 { return (size, name) }
      size *= 1024
    }
    return (size, "TiB")
  }
}
