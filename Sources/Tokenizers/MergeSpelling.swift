/// Reads merges, which are spelled as two tokens with a space between.
struct MergeSpelling {
  enum Alphabet {
    case bytes
    /// Text in which U+2581 means a space.
    case text
  }

  private let alphabet: Alphabet
  private let table: PieceTable
  private let pieces: Pieces
  private var left: [UInt8] = []
  private var right: [UInt8] = []
  private var lastResult: Int32 = -1
  /// Whether merges may name what is no token; else they throw.
  private let allowsUnlisted: Bool
  /// What merges name and the vocabulary lacks, and their ids, which follow those of the tokens.
  private(set) var unlisted = Pieces()
  private var unlistedIDs: [[UInt8]: Int32] = [:]

  init(alphabet: Alphabet, table: PieceTable, pieces: Pieces, allowsUnlisted: Bool = false) {
    self.alphabet = alphabet
    self.table = table
    self.pieces = pieces
    self.allowsUnlisted = allowsUnlisted
  }

  /// Files that were copied from a `merges.txt` have its first line, too.
  static func isHeader(_ merge: String) -> Bool { merge.hasPrefix("#version") }

  /// Adds the merge at a place in the list; its place is its rank.
  mutating func insert(_ merge: String, at index: Int, into merges: inout MergeTable) throws(TokenizerError) {
    if index == 0, Self.isHeader(merge) { return }
    var merge = merge
    let isPair = merge.withUTF8 { bytes in
      guard let space = bytes.firstIndex(of: 0x20), space > 0, space + 1 < bytes.count else { return false }
      spell(UnsafeBufferPointer(rebasing: bytes[..<space]), into: &left)
      spell(UnsafeBufferPointer(rebasing: bytes[(space + 1)...]), into: &right)
      return true
    }
    guard isPair else { throw .malformedMerge(at: index) }
    try insertSpelled(at: index, into: &merges)
  }

  mutating func insert(
    _ first: String, _ second: String, at index: Int, into merges: inout MergeTable
  ) throws(TokenizerError) {
    var (first, second) = (first, second)
    first.withUTF8 { spell($0, into: &left) }
    second.withUTF8 { spell($0, into: &right) }
    if left.isEmpty && first.isEmpty || right.isEmpty && second.isEmpty { throw .malformedMerge(at: index) }
    try insertSpelled(at: index, into: &merges)
  }

  /// The bytes that a spelling means; none, which no token has, where it is not of the alphabet.
  private func spell(_ spelling: UnsafeBufferPointer<UInt8>, into bytes: inout [UInt8]) {
    bytes.removeAll(keepingCapacity: true)
    switch alphabet {
    case .bytes: _ = ByteAlphabet.append(spelling, to: &bytes)
    case .text: LowerBlock.append(spelling, to: &bytes)
    }
  }

  private mutating func insertSpelled(at index: Int, into merges: inout MergeTable) throws(TokenizerError) {
    if allowsUnlisted, left.isEmpty || right.isEmpty { return }
    guard let leftID = find(left), let rightID = find(right) else {
      throw .unknownTokenInMerge(at: index, token: String(decoding: find(left) == nil ? left : right, as: UTF8.self))
    }
    left.append(contentsOf: right)
    // Vocabularies mostly list the results in the order of the merges, which spares the look-up.
    var result = lastResult + 1
    if result >= pieces.count || left.withUnsafeBufferPointer({ !table.holds(result, $0, in: pieces) }) {
      guard let found = find(left) else {
        throw .unknownTokenInMerge(at: index, token: String(decoding: left, as: UTF8.self))
      }
      result = found
    }
    lastResult = result
    merges.insert(left: leftID, right: rightID, rank: UInt32(index), result: result)
  }

  private mutating func find(_ bytes: [UInt8]) -> Int32? {
    if let id = bytes.withUnsafeBufferPointer({ table.find($0, in: pieces) }) { return id }
    if !allowsUnlisted { return nil }
    if let id = unlistedIDs[bytes] { return id }
    let id = Int32(pieces.count + unlisted.count)
    unlisted.append(bytes)
    unlistedIDs[bytes] = id
    return id
  }
}
