import KVCaches

/// The workers that have the same sequences together: those sequences, and their rows of the step under way.
struct WorkerGroup {
  private struct Member {
    weak var sequence: RemoteSequence?
    weak var cache: KVCache?
    let id: UInt64
  }

  private var members: [Member] = []
  private(set) var step = StepDescription()
  /// Where the rows of the step lie among those of the batch, without gaps between ranges that could be one.
  private(set) var rows: [Range<Int>] = []
  private var isWhole = true
  /// Whether the group takes part in the step: it has rows, and no worker is lost.
  var isActive: Bool {
    get { isWhole && !rows.isEmpty }
    set { isWhole = newValue }
  }

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

  mutating func beginStep() {
    step = StepDescription()
    rows.removeAll(keepingCapacity: true)
    isWhole = true
  }

  mutating func append(_ part: StepDescription.Part, _ range: Range<Int>) {
    step.parts.append(part)
    if let last = rows.last, last.upperBound == range.lowerBound {
      rows[rows.count - 1] = last.lowerBound..<range.upperBound
    } else {
      rows.append(range)
    }
  }
}
