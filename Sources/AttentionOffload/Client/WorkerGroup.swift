import KVCaches

/// The workers that have the same sequences together, by those sequences.
struct WorkerGroup {
  private struct Member {
    weak var sequence: RemoteSequence?
    weak var cache: KVCache?
    let id: UInt64
  }

  private var members: [Member] = []

  mutating func add(_ sequence: RemoteSequence, _ cache: KVCache) {
    members.append(Member(sequence: sequence, cache: cache, id: sequence.id))
  }

  mutating func remove(_ id: UInt64) { members.removeAll { $0.id == id || $0.sequence == nil } }

  var sequences: [RemoteSequence] { members.compactMap(\.sequence) }

  /// By which a group is chosen for a new sequence: bytes held, and where these are equal the number of sequences.
  func load(_ layers: [AttentionLayer]) -> Load {
    let bytes = members.reduce(0) { sum, member in
      guard let sequence = member.sequence, let cache = member.cache else { return sum }
      return sum + sequence.bytes(of: cache)
    }
    return Load(bytes: bytes, sequences: sequences.count)
  }

  struct Load: Comparable {
    var bytes: Int
    var sequences: Int

    static func < (a: Load, b: Load) -> Bool { (a.bytes, a.sequences) < (b.bytes, b.sequences) }
  }
}
