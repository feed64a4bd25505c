/// Text on its way into an SVG file.
enum SVGText {
  /// A whole file: a picture on paper of the reader's mode.
  static func document(title: String, width: Double, height: Double, styles: [String] = [], body: [String]) -> String {
    let size = "width=\"\(coordinate(width))\" height=\"\(coordinate(height))\""
    let head = """
      <svg xmlns="http://www.w3.org/2000/svg" \(size) viewBox="0 0 \(coordinate(width)) \(coordinate(height))" \
      role="img" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif" font-size="12">
      <title>\(escape(title))</title>
      \(([SVGStyle.sheet] + styles).joined(separator: "\n"))
      <rect class="paper" width="100%" height="100%" rx="6"/>
      """
    return ([head] + body + ["</svg>", ""]).joined(separator: "\n")
  }

  /// A text element at a place; nothing for an empty text.
  static func element(_ text: String, x: Double, y: Double, style: String, attributes: String = "") -> [String] {
    guard !text.isEmpty else { return [] }
    let place = "x=\"\(coordinate(x))\" y=\"\(coordinate(y))\"" + (attributes.isEmpty ? "" : " " + attributes)
    return ["<text class=\"\(style)\" \(place)>\(escape(text))</text>"]
  }

  /// Title and subtitle of a picture, from the top; `y` becomes the last line's.
  static func headings(title: String, subtitle: String, x: Double, y: inout Double) -> [String] {
    y = 14
    if !title.isEmpty { y += 22 }
    let heading = element(title, x: x, y: y, style: "ink", attributes: "font-size=\"17\" font-weight=\"600\"")
    if !subtitle.isEmpty { y += 20 }
    return heading + element(subtitle, x: x, y: y, style: "quiet", attributes: "font-size=\"13\"")
  }

  /// `text` with the characters escaped that mean something in XML, and those replaced that XML 1.0 forbids.
  static func escape(_ text: String) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": escaped += "&amp;"
      case "<": escaped += "&lt;"
      case ">": escaped += "&gt;"
      case "\"": escaped += "&quot;"
      case "'": escaped += "&#39;"
      case "\t", "\n", "\r": escaped += " "
      case "\u{0}"..<"\u{20}", "\u{FFFE}", "\u{FFFF}": escaped += "\u{FFFD}"
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  /// A coordinate to a tenth of a pixel, the same text on every machine.
  static func coordinate(_ value: Double) -> String {
    let tenths = Int((min(max(value, -99_999), 99_999) * 10).rounded())
    let (whole, rest) = abs(tenths).quotientAndRemainder(dividingBy: 10)
    return (tenths < 0 ? "-" : "") + String(whole) + (rest == 0 ? "" : "." + String(rest))
  }

  /// An upper estimate of a text's width in pixels: nothing here can ask the reader's font, so a wide one is assumed.
  static func width(_ text: String, size: Double) -> Double {
    var em = 0.0
    for character in text {
      switch character {
      case "i", "j", "l", "I", ".", ",", ":", ";", "'", "|", "!", " ", "/", "(", ")", "[", "]": em += 0.37
      case "f", "r", "t", "-": em += 0.42
      case "m", "w", "M", "W", "%", "@", "+": em += 0.92
      case "a"..."z", "0"..."9": em += 0.62
      case "A"..."Z": em += 0.72
      default: em += character.unicodeScalars.allSatisfy { $0.value < 0x1100 } ? 0.72 : 1.05
      }
    }
    return em * size
  }
}
