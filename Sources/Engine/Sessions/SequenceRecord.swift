import KVCaches
import ModelJSON

/// What of a sequence is kept beside its memory.
struct SequenceRecord: Sendable, Hashable {
  /// Tokens that ever came, the newest of them, and those that wait.
  var count: Int
  var newest: [Int32]
  var waiting: [Int32]
  var waitingIsPrompt: Bool

  /// Ids that are kept of any sequence, for penalties.
  static let keptIDs = 1 << 12

  /// - Parameter atLeast: newest ids that have to be kept
  init(_ sequence: Sequence, atLeast: Int = 0) {
    count = sequence.count
    let kept = min(sequence.log.count, max(Self.keptIDs, sequence.waitingTokens, atLeast))
    newest = (0..<kept).reversed().map { sequence.log[back: $0] }
    (waiting, waitingIsPrompt) = (sequence.waiting, sequence.isInPrompt)
  }

  /// The sequence after its first tokens, all of them or fewer, of whose memory the start has come.
  ///
  /// - Parameters:
  ///   - count: tokens that it has
  ///   - read: tokens that its memory has seen; the others wait
  /// - Returns: nil where ids of those that wait are not known.
  func start(_ count: Int, read: Int) -> SequenceRecord? {
    precondition(read <= count && count <= self.count, "a start that is longer")
    var start = self
    start.newest = newest.dropLast(self.count - count)
    guard count - read <= start.newest.count else { return nil }
    start.count = count
    start.waiting = Array(start.newest.suffix(count - read))
    start.waitingIsPrompt = waitingIsPrompt || !start.waiting.isEmpty
    return start
  }

  /// Puts its members into an object.
  func write(to object: inout JSONObject) {
    object["count"] = .integer(Int64(count))
    object["newest"] = .ids(newest)
    object["waiting"] = .ids(waiting)
    object["waiting_is_prompt"] = .bool(waitingIsPrompt)
  }

  /// - Returns: nil where something is missing or impossible.
  init?(_ json: JSONValue) {
    guard let count = json["count"]?.integer, let newest = json["newest"]?.ids, let waiting = json["waiting"]?.ids,
      let waitingIsPrompt = json["waiting_is_prompt"]?.bool, count >= newest.count, waiting.count <= newest.count
    else { return nil }
    (self.count, self.newest, self.waiting, self.waitingIsPrompt) = (count, newest, waiting, waitingIsPrompt)
  }

  /// Whether it can be of a sequence with this memory and vocabulary.
  func fits(tokens: Int64, vocabulary: Int) -> Bool {
    Int(tokens) + waiting.count == count
      && (newest + waiting).allSatisfy { (0..<Int32(vocabulary)).contains($0) }
  }
}

extension Sequence {
  /// Goes on where a record says, with the memory that belongs to it.
  func resume(_ record: SequenceRecord) {
    resume(
      count: record.count, newest: record.newest, waiting: record.waiting, isInPrompt: record.waitingIsPrompt)
  }
}

extension JSONValue {
  static func ids(_ ids: [Int32]) -> JSONValue { .array(ids.map { .integer(Int64($0)) }) }

  /// Numbers of 32 bits; nil where there is anything else.
  var ids: [Int32]? {
    guard let elements = array else { return nil }
    var ids: [Int32] = []
    for element in elements {
      guard let id = element.integer.flatMap(Int32.init(exactly:)) else { return nil }
      ids.append(id)
    }
    return ids
  }
}
