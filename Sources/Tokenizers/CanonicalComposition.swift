/// Unicode's Normalization Form C (Unicode Standard Annex 15), which some tokenizers ask for.
///
/// Text is cut before every scalar that nothing before it can compose with; a piece that is in normal form already, as
/// nearly all are, is copied, any other is decomposed, put in order and composed.
enum CanonicalComposition {
  /// Appends the normal form of valid UTF-8.
  static func append(_ text: UnsafeBufferPointer<UInt8>, to result: inout [UInt8]) {
    let tables = CanonicalTables.shared
    let scalars = ScalarText(text)
    var copied = 0
    var pieceStart = 0
    var position = 0
    while position < text.count {
      let (scalar, length) = scalars.scalar(at: position, end: text.count)
      if scalar < 0x300 || tables.isInert(scalar) {
        pieceStart = position
        position += length
        continue
      }
      if tables.isBoundary(scalar) { pieceStart = position }
      result.append(contentsOf: text[copied..<pieceStart])
      var piece: [UInt32] = []
      position = pieceStart
      while position < text.count {
        let (scalar, length) = scalars.scalar(at: position, end: text.count)
        if position > pieceStart && tables.isBoundary(scalar) { break }
        tables.decompose(scalar, into: &piece)
        position += length
      }
      tables.order(&piece)
      tables.compose(&piece)
      for scalar in piece.compactMap(Unicode.Scalar.init) { result.append(contentsOf: UTF8.encode(scalar)!) }
      copied = position
      pieceStart = position
    }
    result.append(contentsOf: text[copied...])
  }

  /// The last place after `start` and before `end` where text may be cut, or `start`.
  static func lastBoundary(_ text: UnsafeBufferPointer<UInt8>, from start: Int, to end: Int) -> Int {
    let scalars = ScalarText(text)
    var position = end
    while position > start {
      position -= 1
      if text[position] & 0xC0 == 0x80 { continue }
      if CanonicalTables.shared.isBoundary(scalars.scalar(at: position, end: end).value) { return position }
    }
    return start
  }
}

/// The canonical mappings, unpacked once where a tokenizer needs them.
final class CanonicalTables: Sendable {
  static let shared = CanonicalTables()

  private let decompositions: [UInt32: (UInt32, UInt32?)]
  private let compositions: [UInt64: UInt32]
  private let combiningClasses: [UInt32: UInt8]
  /// Scalars that something before them may compose or change places with.
  private let followers: Set<UInt32>
  /// Scalars that never stand in normal form.
  private let unstable: Set<UInt32>

  private init() {
    var decompositions: [UInt32: (UInt32, UInt32?)] = [:]
    var compositions: [UInt64: UInt32] = [:]
    var combiningClasses: [UInt32: UInt8] = [:]
    var followers: Set<UInt32> = []
    var unstable: Set<UInt32> = []
    var scalar: UInt32 = 0
    for entry in Self.entries(CanonicalData.decompositions) {
      scalar += entry.numbers[0]
      let first = entry.numbers[1]
      let second = entry.numbers.count > 2 ? entry.numbers[2] : nil
      decompositions[scalar] = (first, second)
      if let second, entry.separators.last == UInt8(ascii: "+") {
        compositions[UInt64(first) << 32 | UInt64(second)] = scalar
        followers.insert(second)
      } else {
        unstable.insert(scalar)
      }
    }
    var start: UInt32 = 0
    for entry in Self.entries(CanonicalData.combiningClasses) {
      start += entry.numbers[0]
      for scalar in start..<start + entry.numbers[1] {
        combiningClasses[scalar] = UInt8(entry.numbers[2])
        followers.insert(scalar)
      }
    }
    // Vowels and finals of Hangul follow what comes before; a few marks decompose to something that does.
    followers.formUnion(Hangul.vowels)
    followers.formUnion(Hangul.finals)
    for (scalar, parts) in decompositions where followers.contains(parts.0) { followers.insert(scalar) }
    self.decompositions = decompositions
    self.compositions = compositions
    self.combiningClasses = combiningClasses
    self.followers = followers
    self.unstable = unstable
  }

  /// The numbers of each entry, in base 36, and what stands between them.
  private static func entries(_ text: StaticString) -> [(numbers: [UInt32], separators: [UInt8])] {
    text.withUTF8Buffer { bytes in
      bytes.split { $0 == 0x20 || $0 == 0x0A }.map { entry in
        var numbers: [UInt32] = [0]
        var separators: [UInt8] = []
        for byte in entry {
          switch byte {
          case 0x30...0x39: numbers[numbers.count - 1] = numbers[numbers.count - 1] * 36 + UInt32(byte - 0x30)
          case 0x61...0x7A: numbers[numbers.count - 1] = numbers[numbers.count - 1] * 36 + UInt32(byte - 0x61) + 10
          default:
            separators.append(byte)
            numbers.append(0)
          }
        }
        return (numbers, separators)
      }
    }
  }

  /// Whether nothing before a scalar can compose or change places with it.
  func isBoundary(_ scalar: UInt32) -> Bool { scalar < 0x300 || !followers.contains(scalar) }

  /// Whether a scalar is a boundary and stays what it is.
  func isInert(_ scalar: UInt32) -> Bool { isBoundary(scalar) && !unstable.contains(scalar) }

  func decompose(_ scalar: UInt32, into piece: inout [UInt32]) {
    if let (first, second) = Hangul.decompose(scalar) {
      decompose(first, into: &piece)
      piece.append(second)
    } else if let (first, second) = decompositions[scalar] {
      decompose(first, into: &piece)
      if let second { piece.append(second) }
    } else {
      piece.append(scalar)
    }
  }

  /// Sorts each run of combining marks by class, keeping the order within a class.
  func order(_ piece: inout [UInt32]) {
    var start = 0
    while start < piece.count {
      if combiningClasses[piece[start]] == nil {
        start += 1
        continue
      }
      var end = start
      while end < piece.count, combiningClasses[piece[end]] != nil { end += 1 }
      let run = piece[start..<end].enumerated().sorted {
        (combiningClasses[$0.element] ?? 0, $0.offset) < (combiningClasses[$1.element] ?? 0, $1.offset)
      }
      piece.replaceSubrange(start..<end, with: run.map(\.element))
      start = end
    }
  }

  func compose(_ piece: inout [UInt32]) {
    var result: [UInt32] = []
    var starter: Int?
    var lastClass: UInt8 = 0
    for scalar in piece {
      let combiningClass = combiningClasses[scalar] ?? 0
      if let starter {
        // A mark is blocked by one of its class or higher, a starter by anything between.
        let isAdjacent = starter == result.count - 1
        if isAdjacent || (lastClass < combiningClass && lastClass != 0) {
          if let composite = compose(result[starter], scalar) {
            result[starter] = composite
            continue
          }
        }
      }
      if combiningClass == 0 { starter = result.count }
      lastClass = combiningClass
      result.append(scalar)
    }
    piece = result
  }

  private func compose(_ first: UInt32, _ second: UInt32) -> UInt32? {
    Hangul.compose(first, second) ?? compositions[UInt64(first) << 32 | UInt64(second)]
  }
}

/// The arithmetic of Hangul syllables (Unicode Standard, section 3.12).
enum Hangul {
  static let vowels: Range<UInt32> = 0x1161..<0x1176
  static let finals: Range<UInt32> = 0x11A8..<0x11C3
  private static let leads: Range<UInt32> = 0x1100..<0x1113
  private static let syllables: Range<UInt32> = 0xAC00..<0xD7A4

  static func decompose(_ scalar: UInt32) -> (UInt32, UInt32)? {
    guard syllables.contains(scalar) else { return nil }
    let index = scalar - syllables.lowerBound
    if index % 28 != 0 { return (scalar - index % 28, finals.lowerBound - 1 + index % 28) }
    return (leads.lowerBound + index / 588, vowels.lowerBound + index % 588 / 28)
  }

  static func compose(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if leads.contains(first), vowels.contains(second) {
      return syllables.lowerBound + ((first - leads.lowerBound) * 21 + second - vowels.lowerBound) * 28
    }
    guard syllables.contains(first), (first - syllables.lowerBound) % 28 == 0, finals.contains(second) else {
      return nil
    }
    return first + second - finals.lowerBound + 1
  }
}
