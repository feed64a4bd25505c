/// The formats of strings that can be kept, as regular expressions over the whole string.
enum StringFormat {
  private static let byte = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
  private static let ipv4 = "\(byte)(?:\\.\(byte)){3}"
  private static let year = "(?:[1-9]\\d{3}|0[1-9]\\d\\d|00[1-9]\\d|000[1-9])"
  /// Leap years of the Gregorian calendar.
  private static let leapYear =
    "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
  private static let date =
    "(?:\(year)-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)"
    + "|02-(?:0[1-9]|1\\d|2[0-8]))|\(leapYear)-02-29)"
  private static let time =
    "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
  private static let label = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
  private static let atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,32}"
  private static let unreserved = "A-Za-z0-9._~!$&'()*+,;=\\-"
  private static let encoded = "%[0-9A-Fa-f]{2}"

  /// Groups of four hexadecimal digits, of which one run of zeros may be left out.
  private static let ipv6: String = {
    let group = "[0-9A-Fa-f]{1,4}"
    var forms = ["(?:\(group):){7}\(group)", "(?:\(group):){6}\(ipv4)"]
    for before in 0...6 {
      let front = before == 0 ? ":" : "(?:\(group):){\(before)}"
      forms.append(before == 6 ? "\(front):\(group)?" : "\(front)(?::\(group)){1,\(7 - before)}")
    }
    forms.append("(?:\(group):){7}:")
    forms.append("::")
    for before in 1...5 { forms.append("(?:\(group):){\(before)}:") }
    return forms.joined(separator: "|")
  }()

  /// A regular expression of the format; nil where it says nothing that is checked.
  private static let patterns: [String: String] = [
    "date": date,
    "time": time,
    "date-time": "\(date)T\(time)",
    "duration":
      "P(?:\\d{1,6}W|(?:\\d{1,6}Y(?:\\d{1,6}M(?:\\d{1,6}D)?)?|\\d{1,6}M(?:\\d{1,6}D)?|\\d{1,6}D)"
      + "(?:T(?:\\d{1,6}H(?:\\d{1,6}M(?:\\d{1,6}S)?)?|\\d{1,6}M(?:\\d{1,6}S)?|\\d{1,6}S))?"
      + "|T(?:\\d{1,6}H(?:\\d{1,6}M(?:\\d{1,6}S)?)?|\\d{1,6}M(?:\\d{1,6}S)?|\\d{1,6}S))",
    "uuid": "[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
    "email": "\(atom)(?:\\.\(atom)){0,3}@\(label)(?:\\.\(label)){1,4}",
    "hostname": "\(label)(?:\\.\(label)){0,3}",
    "ipv4": ipv4,
    "ipv6": ipv6,
    "uri":
      "[A-Za-z][A-Za-z0-9+.-]{0,15}:(?://(?:[\(unreserved)]|\(encoded)){0,255}(?::\\d{1,5})?(?:/(?:[\(unreserved):@]|\(encoded))*)*"
      + "|/?(?:[\(unreserved):@]|\(encoded))+(?:/(?:[\(unreserved):@]|\(encoded))*)*)"
      + "(?:\\?(?:[\(unreserved):@/?]|\(encoded))*)?(?:#(?:[\(unreserved):@/?]|\(encoded))*)?",
  ]

  /// Formats that say what a string is for and nothing about its text.
  static let annotations: Set<String> = ["password", "binary", "byte", "path"]

  /// Nil where the format is not known.
  static func expression(_ name: String) -> String? { patterns[name].map { "^(?:\($0))$" } }
}
