/// The local time that `strftime_now` tells; whoever renders says what time it is.
package struct TemplateTime: Sendable, Hashable {
  package let year: Int
  /// From 1.
  package let month: Int
  /// From 1.
  package let day: Int
  package let hour: Int
  package let minute: Int
  package let second: Int

  /// Nil for what is no date of the years 1 to 9999.
  package init?(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
    guard (1...9999).contains(year), (1...12).contains(month), (0...23).contains(hour), (0...59).contains(minute),
      (0...60).contains(second), (1...Self.days(in: month, of: year)).contains(day)
    else { return nil }
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  /// A time as ISO 8601 writes it: `2026-11-29`, `2026-11-29T21:10:35`, with a space for the `T`, seconds or a final
  /// `Z` left away. Nil for anything else.
  package init?(_ text: String) {
    var numbers: [Int] = []
    var separators = ""
    var digits = ""
    for scalar in text.unicodeScalars {
      if ("0"..."9").contains(scalar) {
        digits.unicodeScalars.append(scalar)
        continue
      }
      guard let number = Int(digits), digits.count <= 4 else { return nil }
      numbers.append(number)
      digits = ""
      separators.unicodeScalars.append(scalar)
    }
    if let number = Int(digits), digits.count <= 4 {
      numbers.append(number)
    } else if !(digits.isEmpty && separators.hasSuffix("Z") && numbers.count > 3) {
      return nil
    }
    guard ["--", "--T:", "-- :", "--T::", "-- ::", "--T::Z", "--T:Z"].contains(separators) else { return nil }
    let part = { (index: Int) in index < numbers.count ? numbers[index] : 0 }
    self.init(year: part(0), month: part(1), day: part(2), hour: part(3), minute: part(4), second: part(5))
  }

  private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

  private static func days(in month: Int, of year: Int) -> Int {
    month == 2 ? (isLeap(year) ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  /// Days since the year began, from 1.
  private var dayOfYear: Int { (1..<month).reduce(day) { $0 + Self.days(in: $1, of: year) } }

  /// Days since 0001-01-01, a Monday.
  private var dayNumber: Int {
    let before = year - 1
    return before * 365 + before / 4 - before / 100 + before / 400 + dayOfYear - 1
  }

  /// From 0, Monday.
  private var weekday: Int { dayNumber % 7 }

  private static let dayNames = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
  private static let monthNames = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
  ]

  /// C's `strftime` in the C locale; a directive that is not known stays as it is.
  package func formatted(_ format: String) -> String {
    var text = ""
    var isDirective = false
    var isUnpadded = false
    for scalar in format.unicodeScalars {
      if !isDirective {
        if scalar == "%" { isDirective = true } else { text.unicodeScalars.append(scalar) }
      } else if scalar == "-", !isUnpadded {
        isUnpadded = true
      } else {
        var part = directive(scalar)
        if isUnpadded, part.utf8.count > 1 {
          let digits = part.drop { $0 == "0" || $0 == " " }
          part = digits.isEmpty ? "0" : String(digits)
        }
        text += part
        isDirective = false
        isUnpadded = false
      }
    }
    return isDirective ? text + (isUnpadded ? "%-" : "%") : text
  }

  private func directive(_ letter: Unicode.Scalar) -> String {
    let hour12 = (hour + 11) % 12 + 1
    switch letter {
    case "a": return String(Self.dayNames[weekday].prefix(3))
    case "A": return Self.dayNames[weekday]
    case "b", "h": return String(Self.monthNames[month - 1].prefix(3))
    case "B": return Self.monthNames[month - 1]
    case "c": return formatted("%a %b %e %H:%M:%S %Y")
    case "C": return Self.padded(year / 100)
    case "d": return Self.padded(day)
    case "D", "x": return formatted("%m/%d/%y")
    case "e": return Self.padded(day, with: " ")
    case "f": return "000000"
    case "F": return formatted("%Y-%m-%d")
    case "G": return String(weekOfISO.year)
    case "g": return Self.padded(weekOfISO.year % 100)
    case "H": return Self.padded(hour)
    case "I": return Self.padded(hour12)
    case "j": return Self.padded(dayOfYear, width: 3)
    case "k": return Self.padded(hour, with: " ")
    case "l": return Self.padded(hour12, with: " ")
    case "m": return Self.padded(month)
    case "M": return Self.padded(minute)
    case "n": return "\n"
    case "p": return hour < 12 ? "AM" : "PM"
    case "P": return hour < 12 ? "am" : "pm"
    case "r": return formatted("%I:%M:%S %p")
    case "R": return formatted("%H:%M")
    case "S": return Self.padded(second)
    case "t": return "\t"
    case "T", "X": return formatted("%H:%M:%S")
    case "u": return String(weekday + 1)
    case "U": return Self.padded((dayOfYear + 6 - (weekday + 1) % 7) / 7)
    case "V": return Self.padded(weekOfISO.week)
    case "w": return String((weekday + 1) % 7)
    case "W": return Self.padded((dayOfYear + 6 - weekday) / 7)
    case "y": return Self.padded(year % 100)
    case "Y": return String(year)
    case "z", "Z": return ""
    case "%": return "%"
    default: return "%" + String(letter)
    }
  }

  /// The week of ISO 8601 and the year that it belongs to.
  private var weekOfISO: (year: Int, week: Int) {
    let week = (dayOfYear - weekday + 9) / 7
    if week < 1 { return (year - 1, Self.weeks(in: year - 1)) }
    return week > Self.weeks(in: year) ? (year + 1, 1) : (year, week)
  }

  private static func weeks(in year: Int) -> Int {
    let first = { (year: Int) in (year + year / 4 - year / 100 + year / 400) % 7 }
    return first(year) == 4 || first(year - 1) == 3 ? 53 : 52
  }

  private static func padded(_ value: Int, width: Int = 2, with fill: Character = "0") -> String {
    let digits = String(value)
    return String(repeating: fill, count: max(0, width - digits.count)) + digits
  }
}
