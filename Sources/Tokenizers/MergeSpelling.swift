/// Reads merges, which are spelled as two tokens each, into a table.
///
/// They are looked up by the batch, see `PieceTable.find`: half of the time that a vocabulary takes to load went into
/// waiting for memory.
struct MergeSpelling {
  enum Alphabet {
    case bytes
    /// Text in which U+2581 means a space.
    case text
  }

  private static let batch = 256

  private let alphabet: Alphabet
  private let table: PieceTable
  private let pieces: Pieces
  /// Whether merges may name what is no token; else they throw.
  private let allowsUnlisted: Bool
  /// Whether what is no pair of tokens is left out; else it throws.
  private let skipsMalformed: Bool
  /// How many were no pairs and left out.
  private(set) var malformedCount = 0
  private(set) var merges: MergeTable
  /// What merges name and the vocabulary lacks, and their ids, which follow those of the tokens.
  private(set) var unlisted = Pieces()
  private var unlistedIDs: [[UInt8]: Int32] = [:]
  private var lastResult: Int32 = -1

  /// The merges of a batch: their places in the list, and where in `spelled` their two tokens lie.
  private var indices: [Int] = []
  private var ranges: [Range<Int>] = []
  private var spelled: [UInt8] = []
  private var ids: [Int32] = []
  private var entries: [MergeTable.Entry] = []

  /// Room for `count` merges.
  init(
    alphabet: Alphabet, table: PieceTable, pieces: Pieces, count: Int, allowsUnlisted: Bool = false,
    skipsMalformed: Bool = false
  ) {
    self.alphabet = alphabet
    self.table = table
    self.pieces = pieces
    self.allowsUnlisted = allowsUnlisted
    self.skipsMalformed = skipsMalformed
    merges = MergeTable(capacity: count)
    indices.reserveCapacity(Self.batch)
    ranges.reserveCapacity(2 * Self.batch)
    entries.reserveCapacity(Self.batch)
  }

  /// Files that were copied from a `merges.txt` have its first line, too.
  static func isHeader(_ merge: String) -> Bool { merge.hasPrefix("#version") }

  /// Takes the merge at a place in the list, two tokens with a space between; its place is its rank.
  mutating func append(_ merge: String, at index: Int) throws(TokenizerError) {
    if index == 0, Self.isHeader(merge) { return }
    var merge = merge
    let isPair = merge.withUTF8 { bytes in
      guard let space = bytes.firstIndex(of: 0x20), space > 0, space + 1 < bytes.count else { return false }
      spell(UnsafeBufferPointer(rebasing: bytes[..<space]))
      spell(UnsafeBufferPointer(rebasing: bytes[(space + 1)...]))
      return true
    }
    if isPair { return try append(index) }
    guard skipsMalformed else { throw .malformedMerge(at: index) }
    malformedCount += 1
  }

  mutating func append(_ first: String, _ second: String, at index: Int) throws(TokenizerError) {
    if first.isEmpty || second.isEmpty { throw .malformedMerge(at: index) }
    var (first, second) = (first, second)
    first.withUTF8 { spell($0) }
    second.withUTF8 { spell($0) }
    try append(index)
  }

  private mutating func append(_ index: Int) throws(TokenizerError) {
    indices.append(index)
    if indices.count == Self.batch { try finish() }
  }

  /// Appends the bytes that a spelling means; none, which no token has, where it is not of the alphabet.
  private mutating func spell(_ spelling: UnsafeBufferPointer<UInt8>) {
    let start = spelled.count
    switch alphabet {
    case .bytes: _ = ByteAlphabet.append(spelling, to: &spelled)
    case .text: LowerBlock.append(spelling, to: &spelled)
    }
    ranges.append(start..<spelled.count)
  }

  /// Adds what waits; `merges` and `unlisted` are whole after it.
  mutating func finish() throws(TokenizerError) {
    spelled.withUnsafeBufferPointer { table.find(ranges, of: $0, in: pieces, ids: &ids) }
    entries.removeAll(keepingCapacity: true)
    for (place, index) in indices.enumerated() {
      let (left, right) = (ranges[2 * place], ranges[2 * place + 1])
      if left.isEmpty || right.isEmpty, allowsUnlisted { continue }
      let (leftID, rightID) = (try id(2 * place, of: left, at: index), try id(2 * place + 1, of: right, at: index))
      let result = try result(left.lowerBound..<right.upperBound, at: index)
      entries.append(MergeTable.Entry(left: leftID, right: rightID, rank: UInt32(index), result: result))
    }
    merges.insert(entries)
    indices.removeAll(keepingCapacity: true)
    ranges.removeAll(keepingCapacity: true)
    spelled.removeAll(keepingCapacity: true)
  }

  private mutating func id(_ place: Int, of range: Range<Int>, at index: Int) throws(TokenizerError) -> Int32 {
    ids[place] >= 0 ? ids[place] : try unlistedID(of: range, at: index)
  }

  private mutating func result(_ range: Range<Int>, at index: Int) throws(TokenizerError) -> Int32 {
    // Vocabularies mostly list the results in the order of the merges, some several merges for one; that spares look-ups.
    for candidate in lastResult...lastResult + 1 where candidate >= 0 && candidate < pieces.count {
      if spelled.withUnsafeBufferPointer({
        table.holds(candidate, UnsafeBufferPointer(rebasing: $0[range]), in: pieces)
      }) {
        lastResult = candidate
        return candidate
      }
    }
    let found = spelled.withUnsafeBufferPointer { table.find(UnsafeBufferPointer(rebasing: $0[range]), in: pieces) }
    lastResult = if let found { found } else { try unlistedID(of: range, at: index) }
    return lastResult
  }

  private mutating func unlistedID(of range: Range<Int>, at index: Int) throws(TokenizerError) -> Int32 {
    let bytes = Array(spelled[range])
    guard allowsUnlisted else {
      throw .unknownTokenInMerge(at: index, token: String(decoding: bytes, as: UTF8.self))
    }
    if let id = unlistedIDs[bytes] { return id }
    let id = Int32(pieces.count + unlisted.count)
    unlisted.append(bytes)
    unlistedIDs[bytes] = id
    return id
  }
}
