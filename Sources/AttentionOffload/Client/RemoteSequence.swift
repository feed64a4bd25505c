import KVCaches

/// A sequence whose heads are kept by the workers of a group.
final class RemoteSequence: DistantHeads {
  let id: UInt64
  let description: SequenceDescription
  /// The group of workers that has it.
  let group: Int
  private(set) weak var attention: RemoteAttention?
  var failure: KVCacheError?
  private(set) var isRecoverable = true
  /// The depth of undo logs; nil where none was asked for.
  private(set) var undo: (depth: Int, ofSingleTokens: Bool)?
  /// Bytes that the workers said they hold, when a prompt ended.
  var chosenBytes: Int?
  /// The counters when the workers were asked last, as one process would have them.
  var counters: [[UInt8]] = []
  /// The sections that each worker of the group had then, or is to get.
  var sections: [[SectionName: SectionListing]] = []
  /// The sequence's tokens before the step under way, and when a worker was lost last.
  private var (position, lostAt) = (Int64(0), Int64(-1))
  private var losses = 0

  /// Losses without a token in between after which nothing more is tried.
  private static let lossLimit = 8

  init(_ id: UInt64, _ description: SequenceDescription, group: Int, _ attention: RemoteAttention) {
    (self.id, self.description, self.group, self.attention) = (id, description, group, attention)
  }

  deinit { attention?.close(id, group: group) }

  func bytes(of cache: KVCache) -> Int {
    chosenBytes
      ?? KVCache.bytes(
        plan: description.plan, layers: cache.attention, slotType: description.slotType,
        tokens: Int(clamping: cache.tokenCount))
  }

  /// Notes that what the workers keep is not to be used.
  func fail(_ error: OffloadError) {
    guard failure == nil else { return }
    failure = .lostElsewhere("\(error)")
    (lostAt, losses) = (max(lostAt, position), losses + 1)
    switch error {
    case .lost, .refused(.sequence, _): isRecoverable = losses <= Self.lossLimit
    default: isRecoverable = false
    }
  }

  /// Notes that a step begins after so many tokens.
  func noteStep(after tokens: Int64) {
    position = tokens
    if tokens > lostAt { losses = 0 }
  }

  /// Notes that the sequence cannot be had again.
  func failForGood(_ error: OffloadError) {
    failure = .lostElsewhere("\(error)")
    isRecoverable = false
  }

  func giveUp(_ reason: String) { failForGood(.lost(reason)) }

  func reset() {
    failure = nil
    chosenBytes = nil
    _ = attention?.ask(.reset, self)
  }

  func endPrompt(of cache: KVCache) {
    guard failure == nil, let states = attention?.ask(.endPrompt, self), let first = states.first else { return }
    if cache.plan.prompt != nil { chosenBytes = states.reduce(0) { $0 + Int(clamping: $1.bytes) } }
    // A worker whose plan gives up nothing when a prompt ends need not say what it counts.
    guard !first.counters.isEmpty else { return }
    // Of heads that a worker has none of, it counts none.
    let counters = first.counters.indices.map { group in
      states.map { group < $0.counters.count ? $0.counters[group] : [] }.max { $0.count < $1.count } ?? []
    }
    do throws(KVCacheError) {
      try cache.takeUp(counters: counters)
    } catch {
      fail(.badFrame("\(error)"))
    }
  }

  func rollBack(tokens: Int) {
    guard failure == nil else { return }
    var writer = MessageWriter()
    writer.write(UInt64(tokens))
    _ = attention?.ask(.rollBack, self, bytes: writer.bytes)
  }

  func keepUndoLog(depth: Int, ofSingleTokens: Bool) {
    undo = (depth, ofSingleTokens)
    guard failure == nil else { return }
    _ = attention?.ask(.keepUndo, self, bytes: undoBytes ?? [])
  }

  /// What a worker is told of undo logs; nil where there is nothing to tell.
  var undoBytes: [UInt8]? {
    guard let undo else { return nil }
    var writer = MessageWriter()
    writer.write(UInt32(undo.depth))
    writer.write(UInt32(undo.ofSingleTokens ? 1 : 0))
    return writer.bytes
  }
}
