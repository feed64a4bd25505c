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
  /// A byte a symbol, since this rests with every memory; `mark` stands for one that is none.
  private var bytes: [UInt8] = []
  /// The symbols that are no bytes, in their order.
  private var others: [Other] = []

  private struct Other {
    let place: Int
    let symbol: Int32
  }

  /// No text has it.
  private static let mark: UInt8 = 0xFF

  package init() {}

  /// What a file says was read.
  init(foldedCount: Int, foldedHash: UInt64, tokens: [Int32], symbols: [Int32]) {
    (self.foldedCount, self.foldedHash) = (foldedCount, foldedHash)
    append(tokens, symbols: symbols)
  }

  /// Symbols read.
  package var count: Int { foldedCount + bytes.count }

  /// The newest of them; takes time for each.
  package var symbols: [Int32] {
    var symbols = bytes.map(Int32.init)
    for other in others { symbols[other.place] = other.symbol }
    return symbols
  }

  /// Bytes that it takes.
  package var size: Int { bytes.count + others.count * MemoryLayout<Other>.stride + 4 * tokens.count }

  /// Takes note of ids that were read.
  package mutating func append(_ ids: [Int32], symbols newSymbols: [Int32]) {
    // Without room for more: what rests between two turns of a long conversation is not to take twice its size.
    tokens.reserveCapacity(tokens.count + ids.count)
    tokens += ids
    let start = bytes.count
    bytes.reserveCapacity(start + newSymbols.count)
    bytes.append(contentsOf: newSymbols.lazy.map { Self.isByte($0) ? UInt8(truncatingIfNeeded: $0) : Self.mark })
    for (place, symbol) in newSymbols.enumerated() where !Self.isByte(symbol) {
      others.append(Other(place: start + place, symbol: symbol))
    }
  }

  private static func isByte(_ symbol: Int32) -> Bool { symbol >= 0 && symbol < Int32(mark) }

  /// Takes what was read for the first symbols of a rendering, which no later one will differ from.
  mutating func fold(as rendering: ArraySlice<Int32>) {
    foldedCount = rendering.count
    foldedHash = Self.hash(rendering)
    (tokens, bytes, others) = ([], [], [])
  }

  package func relation(to rendering: [Int32]) -> Relation {
    guard rendering.count >= foldedCount, Self.hash(rendering[..<foldedCount]) == foldedHash else { return .differs }
    let common = commonPrefix(with: rendering[foldedCount...])
    if common == bytes.count { return .continues }
    // Special tokens are one symbol and one id each, so between them places in both lists are known.
    let special = others.lastIndex { $0.place < common && Self.isSpecial($0.symbol) }
    guard let special, var next = others.lastIndex(where: { Self.isSpecial($0.symbol) }) else { return .differs }
    for (tail, id) in tokens.reversed().enumerated() where others[next].symbol == id &+ 256 {
      if next == special { return .takesBack(tokens: tail, symbols: foldedCount + others[special].place + 1) }
      next = others[..<next].lastIndex { Self.isSpecial($0.symbol) } ?? special
    }
    return .differs
  }

  /// How many of the first symbols a rendering has too; less than a nanosecond each.
  private func commonPrefix(with rendering: ArraySlice<Int32>) -> Int {
    bytes.withUnsafeBufferPointer { bytes in
      rendering.withUnsafeBufferPointer { rendering in
        let count = min(bytes.count, rendering.count)
        var (place, other) = (0, 0)
        while place < count {
          var symbol = Int32(bytes[place])
          if bytes[place] == Self.mark {
            symbol = others[other].symbol
            other += 1
          }
          guard rendering[place] == symbol else { break }
          place += 1
        }
        return place
      }
    }
  }

  private static func isSpecial(_ symbol: Int32) -> Bool { symbol >= 256 }

  private static let emptyHash: UInt64 = 0xcbf2_9ce4_8422_2325

  /// FNV-1a over symbols: differences are accidents of templates, not attacks.
  private static func hash(_ symbols: ArraySlice<Int32>) -> UInt64 {
    symbols.reduce(emptyHash) { ($0 ^ UInt64(UInt32(bitPattern: $1))) &* 0x100_0000_01b3 }
  }
}
