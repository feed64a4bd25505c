/// The normalizer of SentencePiece: a map from short strings to others, as `precompiled_charsmap` holds it.
///
/// Layout: the size in bytes of a double-array trie, its 32-bit units, and the replacements, each ended by a zero byte;
/// a match in the trie gives the offset of its replacement. A unit has a label (bits 0 to 7), whether a value lies below
/// it (bit 8), and the distance to its children (bits 10 and up, times 256 where bit 9 is set).
/// Source: darts-clone's unit and sentencepiece's normalizer.cc.
struct CharacterMap: Sendable {
  /// How text is looked up.
  enum Matching: Sendable {
    /// The longest match at each place, as SentencePiece does.
    case longest
    /// The shortest match for each grapheme of less than six bytes, else for each of its scalars, as Hugging Face does.
    case graphemes
  }

  private let units: [UInt32]
  private let replacements: [UInt8]
  private let matching: Matching
  /// [byte] whether some match starts with it.
  private let startsMatch: [Bool]

  /// - Throws: where the sizes contradict each other.
  init(_ bytes: [UInt8], matching: Matching) throws(TokenizerError) {
    func unit(_ offset: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
    guard bytes.count > 4, case let size = Int(unit(0)), size > 0, size % 4 == 0, size <= bytes.count - 4 else {
      throw .malformedCharacterMap
    }
    units = stride(from: 4, to: 4 + size, by: 4).map(unit)
    replacements = Array(bytes[(4 + size)...])
    self.matching = matching
    let root = Self.children(units[0])
    startsMatch = (0..<256).map { [units] byte in
      byte != 0 && root ^ byte < units.count && units[root ^ byte] & 0x8000_00FF == UInt32(byte)
    }
  }

  /// Appends what becomes of a text.
  func append(_ text: UnsafeBufferPointer<UInt8>, to result: inout [UInt8]) {
    switch matching {
    case .longest: appendLongest(text, to: &result)
    case .graphemes:
      for character in String(decoding: text, as: UTF8.self) {
        let bytes = Array(character.utf8)
        if bytes.count < 6, let found = match(bytes[...], shortest: true) {
          append(replacement: found.offset, to: &result)
          continue
        }
        for scalar in character.unicodeScalars {
          let bytes = Array(String(scalar).utf8)
          if let found = match(bytes[...], shortest: true) {
            append(replacement: found.offset, to: &result)
          } else {
            result.append(contentsOf: bytes)
          }
        }
      }
    }
  }

  private func appendLongest(_ text: UnsafeBufferPointer<UInt8>, to result: inout [UInt8]) {
    let scalars = ScalarText(text)
    var position = 0
    while position < text.count {
      let start = position
      while position < text.count, !startsMatch[Int(text[position])] {
        position += scalars.scalar(at: position, end: text.count).length
      }
      result.append(contentsOf: UnsafeBufferPointer(rebasing: text[start..<position]))
      if position == text.count { break }
      if let found = match(text[position...], shortest: false) {
        append(replacement: found.offset, to: &result)
        position += found.length
      } else {
        let end = position + scalars.scalar(at: position, end: text.count).length
        result.append(contentsOf: text[position..<end])
        position = end
      }
    }
  }

  /// The match at the start of the bytes: where its replacement lies, and its own length.
  private func match(_ bytes: some Collection<UInt8>, shortest: Bool) -> (offset: Int, length: Int)? {
    var found: (offset: Int, length: Int)?
    var node = Self.children(units[0])
    var length = 0
    for byte in bytes {
      node ^= Int(byte)
      guard byte != 0, node < units.count, units[node] & 0x8000_00FF == UInt32(byte) else { break }
      let unit = units[node]
      node ^= Self.children(unit)
      length += 1
      guard unit >> 8 & 1 == 1, node < units.count else { continue }
      found = (Int(units[node] & 0x7FFF_FFFF), length)
      if shortest { break }
    }
    return found
  }

  private static func children(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 0x200) >> 6) }

  private func append(replacement offset: Int, to result: inout [UInt8]) {
    guard offset < replacements.count else { return }
    result.append(contentsOf: replacements[offset...].prefix { $0 != 0 })
  }
}
