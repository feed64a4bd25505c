/// Who gets rows of the next step.
///
/// Sequences that need one row come first, with guesses behind it where few write; what remains goes to prompts. All stand in one queue and go to its end when
/// they are served, so nobody waits for more than a round. Nothing here knows an engine: counts alone decide.
struct Turns {
  /// The rows of one sequence in a step.
  struct Share {
    let sequence: Sequence
    let chunk: Sequence.Chunk
  }

  private struct Entry {
    let sequence: Sequence
    var isServed = false
  }

  /// The most rows of prompts in a step in which others write. Fewer of them make the others' steps shorter.
  var promptRows = Int.max {
    didSet { precondition(promptRows > 0, "prompts would never be read") }
  }

  /// Beyond so many that write, rows of guesses cost more than they gain: weights are shared by enough rows.
  private static let mostGuessing = 4

  /// The rows of the step, in the order of the batch.
  private(set) var shares: [Share] = []
  /// The sequence whose prompt goes on layer by layer in the step.
  private(set) var layerwise: Sequence?
  /// Those first who have waited longest.
  private var queue: [Entry] = []

  mutating func add(_ sequence: Sequence) {
    if !contains(sequence) { queue.append(Entry(sequence: sequence)) }
  }

  mutating func remove(_ sequence: Sequence) { queue.removeAll { $0.sequence === sequence } }

  func contains(_ sequence: Sequence) -> Bool { queue.contains { $0.sequence === sequence } }

  /// Whether nobody has anything to read in a step of so many rows.
  func isIdle(rows: Int) -> Bool { !queue.contains { $0.sequence.isReady(limit: rows) } }

  /// Has sequences be read again whose memory was lost.
  mutating func recover() {
    for entry in queue where entry.sequence.isLost { entry.sequence.readAgain() }
  }

  /// Divides the rows of a step.
  mutating func divide(rows: Int) {
    clear()
    for index in queue.indices { queue[index].isServed = false }
    let hasPrompts = queue.contains {
      !$0.sequence.needsOneRow && $0.sequence.layerwise == nil && $0.sequence.isReady(limit: rows)
    }
    // However many write, prompts go on.
    var room = rows - (hasPrompts ? min(promptRows, (rows + 3) / 4) : 0)
    var writers = queue.count(where: \.sequence.needsOneRow)
    let guessing = writers <= Self.mostGuessing
    for index in queue.indices where room > 0 && queue[index].sequence.needsOneRow {
      writers -= 1
      room -= serve(index, limit: guessing ? max(1, room - writers) : 1)
    }
    room = rows
    for share in shares { room -= share.chunk.count }
    if !shares.isEmpty { room = min(room, promptRows) }
    for index in queue.indices where room > 0 && !queue[index].sequence.needsOneRow {
      room -= serve(index, limit: room)
    }
    if let index = queue.firstIndex(where: { $0.sequence.layerwise != nil }) {
      queue[index].isServed = true
      layerwise = queue[index].sequence
    }
    sendServedToTheEnd()
  }

  /// Lets go of the sequences of a step.
  mutating func clear() {
    shares.removeAll(keepingCapacity: true)
    layerwise = nil
  }

  /// - Returns: the rows that the sequence takes.
  private mutating func serve(_ index: Int, limit: Int) -> Int {
    let sequence = queue[index].sequence
    guard let chunk = sequence.next(limit: limit) else { return 0 }
    shares.append(Share(sequence: sequence, chunk: chunk))
    queue[index].isServed = true
    return chunk.count
  }

  private mutating func sendServedToTheEnd() {
    guard queue.contains(where: { !$0.isServed }) else { return }
    queue.removeAll { $0.isServed }
    for share in shares { queue.append(Entry(sequence: share.sequence)) }
    if let layerwise { queue.append(Entry(sequence: layerwise)) }
  }
}
