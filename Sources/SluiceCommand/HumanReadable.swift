/// Numbers as people read them, the same in every locale: `23.1 MiB`, `1,000,000 tokens`, `1:02:03`.
package enum HumanReadable {
  /// Bytes in binary units with one decimal; whole below 1 KiB.
  package static func bytes(_ count: some BinaryInteger) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    let magnitude = Double(count.magnitude)
    let sign = count < 0 ? "-" : ""
    guard magnitude >= 1024 else { return sign + (magnitude == 1 ? "1 byte" : self.count(Int(magnitude)) + " bytes") }
    var size = 1024.0
    for (index, unit) in units.enumerated() {
      // Compared after rounding, so that 1,024.0 KiB never appears.
      if (magnitude / size * 10).rounded() < 10_240 || index == units.count - 1 {
        return sign + decimal(magnitude / size, places: 1) + " " + unit
      }
      size *= 1024
    }
    return sign
  }

  /// A whole number with its thousands separated by commas.
  package static func count(_ value: some BinaryInteger) -> String {
    var digits = Array(String(value.magnitude))
    for position in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: position) }
    return (value < 0 ? "-" : "") + String(digits)
  }

  /// `1 token`, `1,000,000 tokens`.
  package static func tokens(_ value: some BinaryInteger) -> String {
    count(value) + (value == 1 ? " token" : " tokens")
  }

  /// A speed, with a decimal only where it matters: `7.3 tokens/s`, `1,234 tokens/s`.
  package static func rate(tokensPerSecond rate: Double) -> String {
    decimal(rate, places: (rate * 10).rounded() < 100 ? 1 : 0) + " tokens/s"
  }

  /// Minutes and seconds, hours where there are any: `0:07`, `1:02:03`. Fractions of a second are dropped.
  package static func duration(_ duration: Duration) -> String {
    let seconds = max(0, duration.components.seconds)
    func two(_ value: Int64) -> String { (value < 10 ? "0" : "") + String(value) }
    let (minutes, hours) = (seconds / 60 % 60, seconds / 3600)
    return (hours > 0 ? count(hours) + ":" + two(minutes) : String(minutes)) + ":" + two(seconds % 60)
  }

  /// A number with a fixed count of decimals (at most 6) and separated thousands; `not a number` and `infinite` in words.
  package static func decimal(_ value: Double, places: Int) -> String {
    precondition((0...6).contains(places), "places lie between 0 and 6")
    guard !value.isNaN else { return "not a number" }
    guard value.isFinite else { return value < 0 ? "-infinite" : "infinite" }
    let unit = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000][places]
    let scaled = (abs(value) * Double(unit)).rounded()
    guard scaled < 9e18 else { return "\(value)" }
    let (whole, rest) = Int(scaled).quotientAndRemainder(dividingBy: unit)
    let fraction = places == 0 ? "" : "." + String(rest + unit).dropFirst()
    return (value < 0 && scaled > 0 ? "-" : "") + count(whole) + fraction
  }
}
