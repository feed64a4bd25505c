import KVCaches

/// Brings many sequences through one engine, some rows of each a step.
///
/// A step is one pass through the model for the tokens of all sequences that have some to read: one of each that writes,
/// and chunks of prompts (`Turns` says whose), and one product with the vocabulary for all that want logits. Beside it a
/// prompt that is read layer by layer advances by a chunk of a layer. What a sequence gets does not depend on its
/// company, but for the rounding of attention where a prompt is cut at other tokens, or a single token's slots are not
/// shared out over the threads. Nothing is allocated in steps of the same sequences. Not thread safe.
package final class Scheduler {
  /// Takes the logits of a sequence, valid until it returns; it may append to that sequence, and add and remove any.
  ///
  /// Called again for those after a guessed token where what it appended agrees with the guess.
  package typealias Receiver = (_ sequence: Sequence, _ logits: UnsafeMutableBufferPointer<Float>) -> Void

  package let engine: InferenceEngine
  private var turns = Turns()
  private var lanes: StepLanes
  /// Guesses that went through the model so far, and those of them that came true.
  package private(set) var guesses = (tried: 0, confirmed: 0)
  /// Rows of the last step.
  package private(set) var rows = 0

  package init(engine: InferenceEngine) {
    self.engine = engine
    lanes = StepLanes(rows: engine.chunk)
  }

  /// What parts of a step cost, where those who write shall keep half of their speed while prompts are read; nil lets prompts
  /// have all rows that are free.
  package var costs: StepCosts? {
    get { turns.costs }
    set { turns.costs = newValue }
  }

  /// Has a sequence take part from the next step on, whenever it has something to read; does nothing where it does.
  package func add(_ sequence: Sequence) { turns.add(sequence) }

  /// Has a sequence take no part any more; it can come back, or go elsewhere, and goes on where it was.
  package func remove(_ sequence: Sequence) { turns.remove(sequence) }

  /// Whether no sequence has anything to read.
  package var isIdle: Bool { turns.isIdle(rows: engine.chunk) }

  /// Makes one step.
  ///
  /// - Parameter receive: called for each sequence that has asked for logits and now has them, in the order of the batch
  /// - Returns: whether there was anything to do.
  @discardableResult
  package func step(_ receive: Receiver = { _, _ in }) -> Bool {
    turns.recover()
    turns.divide(rows: engine.chunk)
    defer {
      // Whoever leaves between steps shall not be kept in memory by the last one.
      turns.clear()
      lanes.clear()
    }
    let hasRows = !turns.shares.isEmpty
    rows = 0
    if hasRows { compute(receive) }
    guard let sequence = turns.layerwise else { return hasRows }
    advance(sequence, rows: turns.layerwiseRows, receive)
    return true
  }

  /// Makes steps until no sequence has anything to read.
  ///
  /// - Parameters:
  ///   - proceeds: asked between two steps; false leaves the rest for another time
  ///   - receive: see `step`
  package func run(while proceeds: () -> Bool = { true }, _ receive: Receiver = { _, _ in }) {
    while step(receive), !isIdle, proceeds() {}
  }

  private func compute(_ receive: Receiver) {
    lanes.fill(with: turns.shares, count: engine.lanes)
    rows = lanes.rows
    engine.step(lanes.batches)
    for lane in 0..<lanes.count { addHiddenStates(lane) }
    // Shares are read one by one: a copy of the array would be a second owner, and refilling it an allocation.
    for index in turns.shares.indices {
      let (sequence, chunk) = (turns.shares[index].sequence, turns.shares[index].chunk)
      guesses.tried += chunk.guesses
      if sequence.endsPrompt(with: chunk) { engine.finishPrompt(of: sequence.memory) }
      if !sequence.isLost { _ = sequence.accept(chunk) }
    }
    for lane in 0..<lanes.count { hand(over: lane, receive) }
  }

  private func hand(over lane: Int, _ receive: Receiver) {
    var (next, row) = (lanes.firstShare(of: lane), 0)
    engine.forEachLogits(of: lanes.batches[lane].logitRows, lane: lane) { block, logits in
      for place in 0..<block.count {
        while row == turns.shares[next].chunk.logitRows { (next, row) = (lanes.share(after: next), 0) }
        let sequence = turns.shares[next].sequence
        // Behind a wrong guess logits follow what was never said.
        if !sequence.isLost, row == 0 || sequence.trial.confirmed == row {
          if row > 0 { guesses.confirmed += 1 }
          let start = logits + place * engine.vocabularySize
          receive(sequence, UnsafeMutableBufferPointer(start: start, count: engine.vocabularySize))
        }
        row += 1
      }
    }
  }

  private func addHiddenStates(_ lane: Int) {
    var (index, row) = (lanes.firstShare(of: lane), 0)
    while index < turns.shares.count {
      let rows = row..<row + turns.shares[index].chunk.count
      if let mean = turns.shares[index].sequence.hiddenMean { engine.add(rows, lane: lane, to: mean) }
      (index, row) = (lanes.share(after: index), rows.upperBound)
    }
  }

  private func advance(_ sequence: Sequence, rows: Int, _ receive: Receiver) {
    guard let reading = sequence.layerwise else { return }
    reading.advance(engine, rows: rows)
    guard reading.isFinished else { return }
    sequence.acceptLayerwise()
    receive(sequence, engine.logits(row: reading.lastRow))
  }
}
