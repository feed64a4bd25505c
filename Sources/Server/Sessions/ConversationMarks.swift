import Kernels
import SessionStore

/// Numbers by which a stored conversation is found from the start of a longer one: hashes of what it says up to some places.
///
/// Places are those beside special tokens, where a template's text and a model's answer meet, and every 64 symbols where there
/// are none. What is found is compared symbol by symbol, so that two texts with one hash cost time and nothing else.
struct ConversationMarks {
  private static let first = 16
  private static let lastOfItem = 32
  private static let lastOfPrompt = 64
  private static let stride = 64

  /// Those of all places, in their order, and how many symbols stand before each.
  private var marks: [(number: Int64, symbols: Int)] = []

  /// - Parameters:
  ///   - symbols: what was read, or is to be read
  ///   - fingerprint: of the model and its cache; another one's marks differ
  init(_ symbols: [Int32], _ fingerprint: Fingerprint) {
    var hash = MarkHash(fingerprint)
    let hasSpecial = symbols.contains { $0 >= 256 }
    for (index, symbol) in symbols.enumerated() {
      let isPlace =
        hasSpecial ? symbol >= 256 || index > 0 && symbols[index - 1] >= 256 : index.isMultiple(of: Self.stride)
      // In front of the first symbol all conversations are alike.
      if isPlace, index > 0 { marks.append((hash.number, index)) }
      hash.take(symbol)
    }
    if !symbols.isEmpty { marks.append((hash.number, symbols.count)) }
  }

  /// What an item is found by.
  var ofItem: [Int64] { ends(last: Self.lastOfItem).map(\.number) }

  /// What is looked for, the longest start first.
  ///
  /// - Parameter symbols: those that need not be found any more
  func ofPrompt(after symbols: Int = 0) -> [Int64] {
    ends(last: Self.lastOfPrompt).reversed().filter { $0.symbols > symbols }.map(\.number)
  }

  private func ends(last: Int) -> [(number: Int64, symbols: Int)] {
    marks.count <= Self.first + last ? marks : Array(marks.prefix(Self.first) + marks.suffix(last))
  }

  /// Symbols in front of a mark.
  func symbols(before number: Int64) -> Int { marks.first { $0.number == number }?.symbols ?? 0 }
}

/// A hash of a model and of numbers that came one after another.
struct MarkHash {
  private var state = Self.seed

  private static let seed: UInt64 = 0x9e37_79b9_7f4a_7c15

  /// - Parameter kind: hashes of different kinds differ
  init(_ fingerprint: Fingerprint, kind: UInt64 = 0) {
    for text in [fingerprint.model, fingerprint.tokenizer, fingerprint.cache] {
      for byte in text.utf8 { state = Self.next(state, UInt64(byte)) }
    }
    if kind != 0 { state = Self.next(state, kind) }
  }

  mutating func take(_ number: Int32) { state = Self.next(state, UInt64(UInt32(bitPattern: number))) }

  /// The hash of all that came.
  var number: Int64 { Int64(bitPattern: Self.next(state, 0x94d0_49bb_1331_11eb)) }

  private static func next(_ hash: UInt64, _ value: UInt64) -> UInt64 {
    let product = (hash ^ value).multipliedFullWidth(by: 0xbf58_476d_1ce4_e5b9)
    return product.high ^ product.low &+ seed
  }
}
