/// Finds where the newest tokens of a sequence stood before, and with them what came next there.
///
/// Prompt look-up decoding (Saxena 2023) without a second model: for each group of 2, 3 and 4 tokens a table holds the place
/// where it last ended. A table takes 4 bytes for each of at most 2^21 entries, of which newer ones replace older ones; each
/// hit is compared with the log, so what was replaced, forgotten or taken back is only missed, never wrong. A token costs
/// three entries, once.
package struct PromptLookup: Sendable {
  /// Where the newest tokens stood before.
  package struct Match: Sendable, Hashable {
    /// Tokens back from the newest one to the one that came next there, at least 0.
    package let back: Int
    /// How many of the newest tokens stood there alike, up to `longest`.
    package let length: Int

    package init(back: Int, length: Int) { (self.back, self.length) = (back, length) }
  }

  /// Beyond so many tokens a match counts as no longer.
  package static let longest = 16

  private static let groups = [4, 3, 2]
  private static let largestTable = 1 << 21

  /// Of the place of the token after each group, the lowest 32 bits; 0 for none.
  private var table = [UInt32](repeating: 0, count: 1 << 12)
  /// Tokens of the sequence whose groups are in the table.
  private var indexed = 0

  package init() {}

  /// Bytes held now.
  package var bytes: Int { table.count * MemoryLayout<UInt32>.stride }

  /// Takes note that the newest tokens of the log are others now.
  package mutating func forget() {
    table.withUnsafeMutableBufferPointer { $0.update(repeating: 0) }
    indexed = 0
  }

  /// Takes in what has come since, and looks for the longest match; of equally long ones the group that stood there last.
  package mutating func match(in log: TokenLog) -> Match? {
    follow(log)
    for group in Self.groups where log.count > group {
      let stored = table[slot(group, in: log, back: 0)]
      guard stored != 0 else { continue }
      // Places count from 1, so that the token after the newest one would be 0 back from itself.
      let age = Int(UInt32(truncatingIfNeeded: log.total + 1) &- stored)
      guard age > 0, age + group <= log.count else { continue }
      var length = 0
      while length < Self.longest, age + length < log.count, log[back: length] == log[back: length + age] {
        length += 1
      }
      if length >= group { return Match(back: age - 1, length: length) }
    }
    return nil
  }

  /// Enters the groups of tokens that have come since; a group is entered with the token behind it.
  private mutating func follow(_ log: TokenLog) {
    if indexed > log.total { forget() }
    if table.count < Self.largestTable, log.count * Self.groups.count > table.count / 4 { grow(log) }
    indexed = max(indexed, log.total - log.count)
    while indexed < log.total {
      let back = log.total - 1 - indexed
      for group in Self.groups where back + group < log.count {
        table[slot(group, in: log, back: back + 1)] = UInt32(truncatingIfNeeded: indexed + 1)
      }
      indexed += 1
    }
  }

  private mutating func grow(_ log: TokenLog) {
    table = [UInt32](repeating: 0, count: Self.entries(tokens: log.count, from: table.count))
    indexed = 0
  }

  private static func entries(tokens: Int, from size: Int = 1 << 12) -> Int {
    var size = size
    while size < largestTable, tokens > size / (8 * groups.count) { size *= 2 }
    return size
  }

  /// The most bytes for a sequence of so many tokens.
  package static func bytes(tokens: Int) -> Int { entries(tokens: tokens) * MemoryLayout<UInt32>.stride }

  /// The entry of the group whose last token stands `back` places before the newest.
  private func slot(_ group: Int, in log: TokenLog, back: Int) -> Int {
    var hash = UInt64(group)
    for distance in 0..<group {
      hash = (hash ^ UInt64(UInt32(bitPattern: log[back: back + distance]))) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 29
    }
    return Int(hash & UInt64(table.count - 1))
  }
}
