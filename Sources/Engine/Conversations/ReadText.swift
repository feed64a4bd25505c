import Tokenizers

/// What a sequence has read of a conversation, in a form that a new rendering can be compared with.
///
/// Of all but the newest part only a hash is kept, so it does not grow with the conversation. Symbols are those of
/// `Tokenizer.symbols`: what a model wrote and what a template writes are equal where they say the same, however they
/// were cut into tokens.
package struct ReadText: Sendable {
  /// How a rendering relates to what was read.
  package enum Relation: Equatable {
    /// It begins with all that was read.
    case continues
    /// It differs from some place on, and can go on after `symbols` of its symbols once the newest tokens are taken back.
    case takesBack(tokens: Int, symbols: Int)
    /// It differs from the start, or where nothing tells to which token.
    case differs
  }

  /// Symbols that only the hash remembers.
  private(set) var foldedCount = 0
  private(set) var foldedHash = Self.emptyHash
  /// The newest ids, and what they say.
  package private(set) var tokens: [Int32] = []
  package private(set) var symbols: [Int32] = []

  package init() {}

  /// What a file says was read.
  init(foldedCount: Int, foldedHash: UInt64, tokens: [Int32], symbols: [Int32]) {
    (self.foldedCount, self.foldedHash, self.tokens, self.symbols) = (foldedCount, foldedHash, tokens, symbols)
  }

  /// Symbols read.
  package var count: Int { foldedCount + symbols.count }

  /// Takes note of ids that were read.
  package mutating func append(_ ids: [Int32], symbols newSymbols: [Int32]) {
    if symbols.isEmpty { symbols = newSymbols } else { Self.append(newSymbols, to: &symbols) }
    if tokens.isEmpty { tokens = ids } else { Self.append(ids, to: &tokens) }
  }

  /// Takes what was read for the first symbols of a rendering, which no later one will differ from.
  mutating func fold(as rendering: ArraySlice<Int32>) {
    foldedCount = rendering.count
    foldedHash = Self.hash(rendering)
    (tokens, symbols) = ([], [])
  }

  /// Appends without room for more: what rests between two turns of a long conversation is not to take twice its size.
  private static func append(_ new: [Int32], to numbers: inout [Int32]) {
    numbers.reserveCapacity(numbers.count + new.count)
    numbers += new
  }

  package func relation(to rendering: [Int32]) -> Relation {
    guard rendering.count >= foldedCount, Self.hash(rendering[..<foldedCount]) == foldedHash else { return .differs }
    let common = symbols[...].commonPrefix(with: rendering[foldedCount...])
    if common == symbols.count { return .continues }
    // Special tokens are one symbol and one id each, so between them places in both lists are known.
    guard let special = symbols[..<common].lastIndex(where: Self.isSpecial) else { return .differs }
    var place = symbols.lastIndex(where: Self.isSpecial) ?? special
    for (tail, id) in tokens.reversed().enumerated() where symbols[place] == id + 256 {
      if place == special { return .takesBack(tokens: tail, symbols: foldedCount + special + 1) }
      place = symbols[..<place].lastIndex(where: Self.isSpecial) ?? special
    }
    return .differs
  }

  private static func isSpecial(_ symbol: Int32) -> Bool { symbol >= 256 }

  private static let emptyHash: UInt64 = 0xcbf2_9ce4_8422_2325

  /// FNV-1a over symbols: differences are accidents of templates, not attacks.
  private static func hash(_ symbols: ArraySlice<Int32>) -> UInt64 {
    symbols.reduce(emptyHash) { ($0 ^ UInt64(UInt32(bitPattern: $1))) &* 0x100_0000_01b3 }
  }
}
