/// Reads a regular expression from left to right.
struct RegularExpressionParser {
  private let scalars: [Unicode.Scalar]
  private var position = 0
  private var depth = 0
  private static let (depthLimit, largestRepetition) = (100, 10_000)

  init(_ pattern: String) { scalars = Array(pattern.unicodeScalars) }

  private typealias Failure = RegularExpression.Failure

  private var current: Unicode.Scalar? { position < scalars.count ? scalars[position] : nil }

  mutating func parse() throws(RegularExpression.Failure) -> RegularExpression {
    let result = try alternatives()
    guard position == scalars.count else { throw Failure(reason: "has a ')' that closes nothing") }
    return result
  }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard current == scalar else { return false }
    position += 1
    return true
  }

  private mutating func skip(_ text: String) -> Bool {
    let wanted = Array(text.unicodeScalars)
    guard scalars[position...].starts(with: wanted) else { return false }
    position += wanted.count
    return true
  }

  private mutating func alternatives() throws(RegularExpression.Failure) -> RegularExpression {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.depthLimit else { throw Failure(reason: "is nested too deeply") }
    var parts = [try sequence()]
    while skip("|") { parts.append(try sequence()) }
    return parts.count == 1 ? parts[0] : .alternatives(parts)
  }

  private mutating func sequence() throws(RegularExpression.Failure) -> RegularExpression {
    var parts: [RegularExpression] = []
    while let scalar = current, scalar != "|", scalar != ")" {
      let atom = try atom()
      parts.append(try repetition(of: atom))
    }
    return parts.isEmpty ? .empty : parts.count == 1 ? parts[0] : .sequence(parts)
  }

  private mutating func repetition(of atom: RegularExpression) throws(RegularExpression.Failure) -> RegularExpression {
    let bounds: (Int, Int?)
    if skip("*") {
      bounds = (0, nil)
    } else if skip("+") {
      bounds = (1, nil)
    } else if skip("?") {
      bounds = (0, 1)
    } else if current == "{", let range = try braces() {
      bounds = range
    } else {
      return atom
    }
    _ = skip("?")
    if let next = current, "*+?".unicodeScalars.contains(next) { throw Failure(reason: "repeats a repetition") }
    if atom == .start || atom == .end { throw Failure(reason: "repeats an anchor") }
    return .repeated(atom, minimum: bounds.0, maximum: bounds.1)
  }

  /// `{n}`, `{n,}` or `{n,m}`.
  private mutating func braces() throws(RegularExpression.Failure) -> (Int, Int?)? {
    position += 1
    guard let minimum = try count() else { throw Failure(reason: "has a '{' that is no repetition; write '\\{'") }
    var maximum: Int? = minimum
    if skip(",") { maximum = try count() }
    guard skip("}") else { throw Failure(reason: "has a '{' that is no repetition; write '\\{'") }
    if let maximum, maximum < minimum { throw Failure(reason: "repeats {\(minimum),\(maximum)} times") }
    return (minimum, maximum)
  }

  private mutating func count() throws(RegularExpression.Failure) -> Int? {
    var value: Int?
    while let scalar = current, let digit = Int(String(scalar)), scalar.isASCII {
      value = (value ?? 0) * 10 + digit
      guard (value ?? 0) <= Self.largestRepetition else { throw Failure(reason: "repeats too often") }
      position += 1
    }
    return value
  }

  private mutating func atom() throws(RegularExpression.Failure) -> RegularExpression {
    guard let scalar = current else { return .empty }
    position += 1
    switch scalar {
    case "^": return .start
    case "$": return .end
    case ".": return .scalars(ScalarRanges(of: "\n\r\u{2028}\u{2029}").complement)
    case "(": return try group()
    case "[": return .scalars(try characterClass())
    case "\\": return .scalars(try escape(inClass: false))
    case "*", "+", "?": throw Failure(reason: "repeats nothing")
    case "{", "}", "]": throw Failure(reason: "has a bare '\(scalar)'; write '\\\(scalar)'")
    default: return .scalars(ScalarRanges(scalar.value))
    }
  }

  private mutating func group() throws(RegularExpression.Failure) -> RegularExpression {
    if current == "?" {
      let isPlain = skip("?:")
      if !isPlain {
        guard skip("?<"), let next = current, next != "=", next != "!" else {
          throw Failure(reason: "looks ahead or behind, which is not supported")
        }
        while let scalar = current, scalar != ">" {
          guard scalar.properties.isAlphabetic || scalar == "_" || ("0"..."9").contains(scalar) else {
            throw Failure(reason: "has a group without a proper name")
          }
          position += 1
        }
        guard skip(">") else { throw Failure(reason: "has a group without a proper name") }
      }
    }
    let content = try alternatives()
    guard skip(")") else { throw Failure(reason: "has a '(' that is not closed") }
    return content
  }

  private mutating func characterClass() throws(RegularExpression.Failure) -> ScalarRanges {
    let isNegated = skip("^")
    var ranges: [ClosedRange<UInt32>] = []
    while let scalar = current, scalar != "]" {
      let low = try classAtom()
      guard current == "-", position + 1 < scalars.count, scalars[position + 1] != "]" else {
        ranges += low.ranges
        continue
      }
      position += 1
      let high = try classAtom()
      guard let first = low.single, let last = high.single, first <= last else {
        throw Failure(reason: "has a range in a class that is none")
      }
      ranges.append(first...last)
    }
    guard skip("]") else { throw Failure(reason: "has a '[' that is not closed") }
    let result = ScalarRanges(ranges)
    return isNegated ? result.complement : result.intersection(.all)
  }

  private mutating func classAtom() throws(RegularExpression.Failure) -> ScalarRanges {
    guard let scalar = current else { throw Failure(reason: "has a '[' that is not closed") }
    position += 1
    return scalar == "\\" ? try escape(inClass: true) : ScalarRanges(scalar.value)
  }

  private static let digits = ScalarRanges([0x30...0x39])
  private static let word = ScalarRanges([0x30...0x39, 0x41...0x5a, 0x5f...0x5f, 0x61...0x7a])
  private static let space = ScalarRanges([
    0x09...0x0d, 0x20...0x20, 0xa0...0xa0, 0x1680...0x1680, 0x2000...0x200a, 0x2028...0x2029, 0x202f...0x202f,
    0x205f...0x205f, 0x3000...0x3000, 0xfeff...0xfeff,
  ])

  private mutating func escape(inClass: Bool) throws(RegularExpression.Failure) -> ScalarRanges {
    guard let scalar = current else { throw Failure(reason: "ends with a '\\'") }
    position += 1
    switch scalar {
    case "d": return Self.digits
    case "D": return Self.digits.complement
    case "w": return Self.word
    case "W": return Self.word.complement
    case "s": return Self.space
    case "S": return Self.space.complement
    case "n": return ScalarRanges(0x0a)
    case "r": return ScalarRanges(0x0d)
    case "t": return ScalarRanges(0x09)
    case "f": return ScalarRanges(0x0c)
    case "v": return ScalarRanges(0x0b)
    case "0": return ScalarRanges(0)
    case "b" where inClass: return ScalarRanges(0x08)
    case "x": return ScalarRanges(try hexadecimal(2))
    case "u": return ScalarRanges(try codePoint())
    case "c":
      guard let letter = current, letter.isASCII, letter.properties.isAlphabetic else { break }
      position += 1
      return ScalarRanges(letter.value % 32)
    default:
      if !scalar.isASCII || !(scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)) {
        return ScalarRanges(scalar.value)
      }
    }
    throw Failure(reason: "has '\\\(scalar)', which is not supported")
  }

  private mutating func hexadecimal(_ count: Int) throws(RegularExpression.Failure) -> UInt32 {
    let text = String(String.UnicodeScalarView(scalars[position..<min(position + count, scalars.count)]))
    guard text.utf8.count == count, text.allSatisfy(\.isHexDigit), let value = UInt32(text, radix: 16) else {
      throw Failure(reason: "has an escape without \(count) hexadecimal digits")
    }
    position += count
    return value
  }

  private mutating func codePoint() throws(RegularExpression.Failure) -> UInt32 {
    var value: UInt32
    if skip("{") {
      guard let end = scalars[position...].firstIndex(of: "}"), (1...6).contains(end - position) else {
        throw Failure(reason: "has an escape '\\u{' that is not closed")
      }
      value = try hexadecimal(end - position)
      position += 1
    } else {
      value = try hexadecimal(4)
      if UTF16.isLeadSurrogate(UInt16(truncatingIfNeeded: value)), value <= 0xffff, skip("\\u") {
        let trail = try hexadecimal(4)
        guard (0xdc00...0xdfff).contains(trail) else { throw Failure(reason: "has half a surrogate pair") }
        value = 0x10000 + (value - 0xd800) << 10 + (trail - 0xdc00)
      }
    }
    guard Unicode.Scalar(value) != nil else { throw Failure(reason: "has an escape that is no character") }
    return value
  }
}

extension ScalarRanges {
  /// The one scalar of the set; nil where there are more or none.
  fileprivate var single: UInt32? {
    ranges.count == 1 && ranges[0].count == 1 ? ranges[0].lowerBound : nil
  }
}
