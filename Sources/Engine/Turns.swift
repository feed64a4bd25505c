/// Who gets rows of the next step.
///
/// Sequences that need one row come first, with guesses behind it where few write; what remains goes to prompts. All stand
/// in one queue and go to its end when they are served, so nobody waits for more than a round. Where costs are known,
/// prompts take no more of the steps in which others write than those who write do, so that these keep half of their speed.
/// Nothing here knows an engine: counts alone decide.
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

  /// What parts of a step cost; nil where prompts may take all rows that are free.
  var costs: StepCosts?
  /// Beyond so many that write, rows of guesses cost more than they gain: weights are shared by enough rows.
  private static let mostGuessing = 4
  /// Rows of a prompt are read so many at a time where others write: fewer cost more each.
  private static let leastRows = 16
  /// Steps of the others for which a prompt waits until it may have so many rows; then it takes fewer.
  private static let patience = 4.0

  /// The rows of the step, in the order of the batch.
  private(set) var shares: [Share] = []
  /// The sequence whose prompt goes on layer by layer in the step, and by how many rows.
  private(set) var layerwise: Sequence?
  private(set) var layerwiseRows = 0
  /// Those first who have waited longest.
  private var queue: [Entry] = []
  /// What prompts may still cost beside those who write.
  private var credit = 0.0
  /// What the step costs without prompts; 0 where nobody writes or nobody reads.
  private var written = 0.0

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
    let hasPrompts = queue.indices.contains { isPrompt($0, rows: rows) }
    // However many write, prompts go on.
    var room = rows - (hasPrompts ? (rows + 3) / 4 : 0)
    var writers = queue.count(where: \.sequence.needsOneRow)
    let guessing = writers <= Self.mostGuessing
    for index in queue.indices where room > 0 && queue[index].sequence.needsOneRow {
      writers -= 1
      room -= serve(index, limit: guessing ? max(1, room - writers) : 1)
    }
    earnCredit(hasPrompts: hasPrompts)
    room = rows
    for share in shares { room -= share.chunk.count }
    for index in queue.indices where room > 0 && isPrompt(index, rows: room) {
      let sequence = queue[index].sequence
      let cost = cost(sequence)
      let limit = affordableRows(min(room, sequence.waitingTokens), cost: cost)
      // Who cannot have its rows yet is not overtaken by those whose rows cost less.
      if limit == 0 { break }
      let count = serve(index, limit: limit)
      room -= count
      if written > 0 { credit -= Double(count) * cost }
    }
    chooseLayerwise(rows: rows)
    sendServedToTheEnd()
  }

  /// Whether rows of a prompt would be read in a step of so many.
  private func isPrompt(_ index: Int, rows: Int) -> Bool {
    let sequence = queue[index].sequence
    return !sequence.needsOneRow && sequence.layerwise == nil && sequence.isReady(limit: rows)
  }

  // Prompts beside those who write.

  private mutating func earnCredit(hasPrompts: Bool) {
    written = 0
    let hasLayerwise = queue.contains { $0.sequence.layerwise != nil }
    guard let costs, !shares.isEmpty, hasPrompts || hasLayerwise else { return credit = 0 }
    written = shares.reduce(costs.step) { $0 + Double($1.chunk.count) * cost($1.sequence) }
    // What is waited for at most, a single row that costs more than the patience too; a step on top, or credit would be lost.
    var most = Self.patience * written
    for entry in queue where !entry.sequence.needsOneRow { most = max(most, cost(entry.sequence)) }
    credit = min(credit + written, most + written)
  }

  private func cost(_ sequence: Sequence) -> Double { costs?.row(slots: sequence.attendedSlots) ?? 0 }

  /// How many of `most` rows of a prompt those who write allow now; 0 where it has to wait.
  private func affordableRows(_ most: Int, cost: Double) -> Int {
    guard written > 0 else { return most }
    let least = min(Double(min(most, Self.leastRows)), Self.patience * written / cost)
    let rows = credit / cost
    return rows >= max(1, least) ? Int(min(Double(most), rows)) : 0
  }

  private mutating func chooseLayerwise(rows: Int) {
    guard let index = queue.firstIndex(where: { $0.sequence.layerwise != nil }) else { return }
    let sequence = queue[index].sequence
    guard let reading = sequence.layerwise else { return }
    let cost = cost(sequence) / Double(reading.layers)
    layerwiseRows = affordableRows(min(rows, reading.waitingRows), cost: cost)
    guard layerwiseRows > 0 else { return }
    if written > 0 { credit -= Double(layerwiseRows) * cost }
    layerwise = sequence
    queue[index].isServed = true
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
