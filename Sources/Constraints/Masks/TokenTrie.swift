/// A vocabulary as a tree over the bytes of its tokens, with the nodes in the order of a walk.
///
/// Immutable, made once for a tokenizer; of a vocabulary of 128,000 tokens it takes about 5 MB.
package final class TokenTrie: Sendable {
  package let vocabularySize: Int
  /// Tokens that end a text.
  package let ends: [Int32]
  /// The last byte of each node.
  let bytes: [UInt8]
  /// Bytes of each node.
  let depths: [Int32]
  /// The node behind a node and all below it.
  let subtreeEnds: [Int32]
  /// Bytes of the longest token.
  let longest: Int
  private let tokenOffsets: [Int32]
  private let tokens: [Int32]
  private let pieceOffsets: [Int32]
  private let pieces: [UInt8]

  /// - Parameters:
  ///   - ends: tokens that end a text
  ///   - piece: a token's bytes; nil for special ones, which are no text
  package init(vocabularySize: Int, ends: some Swift.Sequence<Int32>, piece: (Int32) -> ArraySlice<UInt8>?) {
    self.vocabularySize = vocabularySize
    self.ends = ends.filter { (0..<Int32(vocabularySize)).contains($0) }.sorted()
    var (pieces, pieceOffsets): ([UInt8], [Int32]) = ([], [0])
    var ids: [Int32] = []
    for id in 0..<Int32(vocabularySize) {
      if let piece = piece(id), !piece.isEmpty {
        ids.append(id)
        pieces.append(contentsOf: piece)
      }
      pieceOffsets.append(Int32(pieces.count))
    }
    let order = Self.sorted(ids, pieces, pieceOffsets)
    var (bytes, depths, ends, tokens): ([UInt8], [Int32], [Int32], [Int32]) = ([], [], [], [])
    var tokenOffsets: [Int32] = []
    // Nodes from the root to the last token.
    var path: [Int] = []
    var last: ArraySlice<UInt8> = []
    func close(to depth: Int) {
      while path.count > depth { ends[path.removeLast()] = Int32(bytes.count) }
    }
    for id in order {
      let piece = pieces[Int(pieceOffsets[Int(id)])..<Int(pieceOffsets[Int(id) + 1])]
      let common = zip(piece, last).prefix { $0 == $1 }.count
      close(to: common)
      for byte in piece.dropFirst(common) {
        path.append(bytes.count)
        bytes.append(byte)
        depths.append(Int32(path.count))
        ends.append(0)
        tokenOffsets.append(Int32(tokens.count))
      }
      tokens.append(id)
      last = piece
    }
    close(to: 0)
    tokenOffsets.append(Int32(tokens.count))
    (self.bytes, self.depths, subtreeEnds, self.tokens) = (bytes, depths, ends, tokens)
    (self.tokenOffsets, self.pieces, self.pieceOffsets) = (tokenOffsets, pieces, pieceOffsets)
    longest = Int(depths.max() ?? 0)
  }

  private static func sorted(_ ids: [Int32], _ pieces: [UInt8], _ offsets: [Int32]) -> [Int32] {
    pieces.withUnsafeBufferPointer { pieces in
      offsets.withUnsafeBufferPointer { offsets in
        ids.sorted { a, b in
          let first = pieces[Int(offsets[Int(a)])..<Int(offsets[Int(a) + 1])]
          let second = pieces[Int(offsets[Int(b)])..<Int(offsets[Int(b) + 1])]
          return first.lexicographicallyPrecedes(second)
        }
      }
    }
  }

  /// The tokens that end at a node; several where a vocabulary has the same bytes twice.
  @inline(__always)
  func tokens(at node: Int) -> ArraySlice<Int32> { tokens[Int(tokenOffsets[node])..<Int(tokenOffsets[node + 1])] }

  /// A token's bytes; none for special ones.
  func piece(_ id: Int32) -> ArraySlice<UInt8> {
    guard (0..<Int32(vocabularySize)).contains(id) else { return [] }
    return pieces[Int(pieceOffsets[Int(id)])..<Int(pieceOffsets[Int(id) + 1])]
  }
}
