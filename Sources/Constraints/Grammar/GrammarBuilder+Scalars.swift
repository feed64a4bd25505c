extension GrammarBuilder {
  /// How characters are written.
  enum Writing: Sendable { case plain, insideString }

  /// One character out of ranges of scalars, as UTF-8; inside a string with the escapes that JSON asks for, and no others.
  mutating func scalars(
    _ ranges: ScalarRanges, _ writing: Writing, from source: Int32, to target: Int32
  ) throws(ConstraintError) {
    var ranges = ranges.intersection(.all)
    if writing == .insideString {
      for scalar in ranges.intersection(.escaped).members {
        try bytes(JSONStringEscapes.escape(scalar), from: source, to: target)
      }
      ranges = ranges.intersection(ScalarRanges.escaped.complement)
    }
    for range in ranges.ranges { try scalars(range, from: source, to: target) }
  }

  /// A range of scalars, cut where the length of its UTF-8 changes.
  private mutating func scalars(
    _ range: ClosedRange<UInt32>, from source: Int32, to target: Int32
  ) throws(ConstraintError) {
    for (count, bounds) in [(0, UInt32(0)...0x7f), (1, 0x80...0x7ff), (2, 0x800...0xffff), (3, 0x10000...0x10ffff)]
    where range.overlaps(bounds) {
      let part = range.clamped(to: bounds)
      try sequences(part.lowerBound, part.upperBound, more: count, isLead: true, from: source, to: target)
    }
  }

  /// - Parameter count: continuation bytes behind the byte in question
  private mutating func sequences(
    _ low: UInt32, _ high: UInt32, more count: Int, isLead: Bool, from source: Int32, to target: Int32
  ) throws(ConstraintError) {
    let shift = UInt32(6 * count)
    func byte(_ scalar: UInt32) -> UInt8 {
      let bits = UInt8(truncatingIfNeeded: scalar >> shift)
      guard isLead else { return 0x80 | bits & 0x3f }
      return count == 0 ? bits : [0xc0, 0xe0, 0xf0][count - 1] | bits
    }
    if count == 0 { return edge(source, byte(low)...byte(high), target) }
    let mask = (UInt32(1) << shift) - 1
    var low = low
    // A first byte that not all continuations may follow, then those with all, then the last.
    if low & mask != 0 || (high >> shift == low >> shift && high & mask != mask) {
      let end = min(high, low | mask)
      let next = try state()
      edge(source, byte(low), next)
      try sequences(low, end, more: count - 1, isLead: false, from: next, to: target)
      if end == high { return }
      low = end + 1
    }
    let whole = high & mask == mask ? high >> shift : (high >> shift) - 1
    if low >> shift <= whole {
      edge(source, byte(low)...byte(whole << shift), try tail(0x80, 0xbf, more: count - 1, to: target))
    }
    guard high & mask != mask, high >> shift >= low >> shift else { return }
    let next = try state()
    edge(source, byte(high), next)
    try sequences(high & ~mask, high, more: count - 1, isLead: false, from: next, to: target)
  }
}

/// How characters that cannot stand in a JSON string are written in it, in the shortest way.
enum JSONStringEscapes {
  static func escape(_ scalar: UInt32) -> [UInt8] {
    let letters: [UInt32: UInt8] = [
      0x22: UInt8(ascii: "\""), 0x5c: UInt8(ascii: "\\"), 0x08: UInt8(ascii: "b"), 0x0c: UInt8(ascii: "f"),
      0x0a: UInt8(ascii: "n"), 0x0d: UInt8(ascii: "r"), 0x09: UInt8(ascii: "t"),
    ]
    if let letter = letters[scalar] { return [UInt8(ascii: "\\"), letter] }
    let digits = String(scalar, radix: 16)
    return Array(("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
  }

  /// The bytes of a text inside of a string.
  static func bytes(_ text: String) -> [UInt8] {
    text.unicodeScalars.flatMap { scalar -> [UInt8] in
      ScalarRanges.escaped.contains(scalar.value) ? escape(scalar.value) : Array(String(scalar).utf8)
    }
  }
}
