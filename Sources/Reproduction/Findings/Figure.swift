#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// Numbers as texts of a report.
enum Figure {
  /// With so many digits behind the point, and commas by thousands in front of it.
  static func text(_ value: Double, places: Int) -> String {
    guard value.isFinite else { return "\(value)" }
    let scale = pow(10, Double(places))
    let rounded = (abs(value) * scale).rounded()
    guard rounded < 1e15 else { return "\(value)" }
    let digits = String(UInt64(rounded))
    let padded = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
    let whole = padded.dropLast(places), fraction = padded.suffix(places)
    return (value < 0 && rounded > 0 ? "−" : "") + grouped(String(whole)) + (places > 0 ? "." + fraction : "")
  }

  static func count(_ value: Int) -> String { text(Double(value), places: 0) }

  /// A share as percent with its sign, as in `−3.1 %`.
  static func change(_ share: Double, places: Int = 1) -> String {
    (share > 0 ? "+" : "") + text(100 * share, places: places) + " %"
  }

  /// Bytes in MiB.
  static func mebibytes(_ bytes: Double) -> String { text(bytes / 1_048_576, places: 1) + " MiB" }

  private static func grouped(_ digits: String) -> String {
    var parts: [Substring] = []
    var rest = digits[...]
    while rest.count > 3 {
      parts.append(rest.suffix(3))
      rest = rest.dropLast(3)
    }
    return ([rest] + parts.reversed()).joined(separator: ",")
  }
}
