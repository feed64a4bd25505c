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
    var hash = Self.seed
    for text in [fingerprint.model, fingerprint.tokenizer, fingerprint.cache] {
      for byte in text.utf8 { hash = Self.next(hash, UInt64(byte)) }
    }
    let hasSpecial = symbols.contains { $0 >= 256 }
    for (index, symbol) in symbols.enumerated() {
      let isPlace =
        hasSpecial ? symbol >= 256 || index > 0 && symbols[index - 1] >= 256 : index.isMultiple(of: Self.stride)
      // In front of the first symbol all conversations are alike.
      if isPlace, index > 0 { marks.append((Int64(bitPattern: Self.finish(hash)), index)) }
      hash = Self.next(hash, UInt64(UInt32(bitPattern: symbol)))
    }
    if !symbols.isEmpty { marks.append((Int64(bitPattern: Self.finish(hash)), symbols.count)) }
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

  private static let seed: UInt64 = 0x9e37_79b9_7f4a_7c15

  private static func next(_ hash: UInt64, _ value: UInt64) -> UInt64 {
    let product = (hash ^ value).multipliedFullWidth(by: 0xbf58_476d_1ce4_e5b9)
    return product.high ^ product.low &+ seed
  }

  private static func finish(_ hash: UInt64) -> UInt64 { next(hash, 0x94d0_49bb_1331_11eb) }
}
