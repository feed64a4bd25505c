import Synchronization

/// The ids of texts that stood between two added tokens, so that an old message of a conversation is not encoded anew each turn.
///
/// Such a text is encoded by itself: what its ids depend on is all in `Piece`, which is compared byte by byte. Bounded in bytes: what
/// was asked for last stays, in two generations, of which the older one goes as a whole. May be used from many threads at once.
package final class EncodedPieces: Sendable {
  /// Below so many bytes encoding is as fast.
  static let shortest = 48

  /// All that decides over the ids of a text.
  struct Piece: Hashable {
    let bytes: [UInt8]
    /// Whether the whole prompt begins with it.
    let isStart: Bool
    /// Its parts from outside, where a tokenizer cuts there.
    let content: [Range<Int>]

    init(_ bytes: Slice<UnsafeBufferPointer<UInt8>>, isStart: Bool, content: [Range<Int>]) {
      (self.bytes, self.isStart, self.content) = (Array(bytes), isStart, content)
    }

    static func == (a: Piece, b: Piece) -> Bool {
      a.isStart == b.isStart && a.bytes == b.bytes && a.content == b.content
    }

    func hash(into hasher: inout Hasher) {
      bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
  }

  /// The pieces of one owner: nobody can tell by the time that it takes what somebody else has sent.
  package struct Share: Sendable {
    fileprivate let pieces: EncodedPieces
    fileprivate let owner: Int

    func ids(of piece: Piece) -> [Int32]? { pieces.ids(of: Key(owner: owner, piece: piece)) }

    func note(_ piece: Piece, _ ids: ArraySlice<Int32>) { pieces.note(Key(owner: owner, piece: piece), Array(ids)) }
  }

  private struct Key: Hashable {
    let owner: Int
    let piece: Piece
  }

  private struct State {
    var newer: [Key: [Int32]] = [:]
    var older: [Key: [Int32]] = [:]
    /// Bytes of the newer ones.
    var bytes = 0
  }

  private let state = Mutex(State())
  private let limit: Int

  /// - Parameter limit: bytes of texts and ids together
  package init(limit: Int) { self.limit = limit }

  package func share(of owner: Int) -> Share { Share(pieces: self, owner: owner) }

  private func ids(of key: Key) -> [Int32]? {
    state.withLock { state in
      if let ids = state.newer[key] { return ids }
      guard let (key, ids) = state.older.remove(key) else { return nil }
      add(key, ids, to: &state)
      return ids
    }
  }

  private func note(_ key: Key, _ ids: [Int32]) {
    // One that would throw out all others would soon be thrown out itself.
    guard Self.bytes(key, ids) <= limit / 8 else { return }
    state.withLock { add(key, ids, to: &$0) }
  }

  private func add(_ key: Key, _ ids: [Int32], to state: inout State) {
    let bytes = Self.bytes(key, ids)
    if state.bytes + bytes > limit / 2 { (state.older, state.newer, state.bytes) = (state.newer, [:], 0) }
    if state.newer.updateValue(ids, forKey: key) == nil { state.bytes += bytes }
  }

  private static func bytes(_ key: Key, _ ids: [Int32]) -> Int { key.piece.bytes.count + 4 * ids.count + 128 }
}

extension Dictionary {
  /// Takes a member out, as it was put in.
  fileprivate mutating func remove(_ key: Key) -> Element? {
    index(forKey: key).map { remove(at: $0) }
  }
}
