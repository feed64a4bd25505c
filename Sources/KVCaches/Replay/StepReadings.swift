/// A run of slots that a chunk reads.
struct Run {
  /// Index into the step's blocks.
  var block: Int
  /// The run is slots `first` to `last`, exclusive, of the block.
  var first: Int
  var last: Int
  /// Index of the query clock.
  var clock: Int
  /// Offset of the run's bounds in `visibleFirst` and `visibleLast`, or -1 where all tokens see all of it.
  var visible: Int
  /// Offset of the run's distances among those of the step, or -1 where they do not matter; they do for ALiBi.
  var distances: Int

  /// Whether the other run can be read in one go with this one.
  func continues(with other: Run) -> Bool {
    block == other.block && last == other.first && clock == other.clock && visible < 0 && other.visible < 0
      && distances < 0 && other.distances < 0
  }

  /// Parts of the run that threads may share out, cut at multiples of `cut` slots. Kernels cut them at multiples of 64,
  /// so these cuts change no result.
  func shares(cut: Int) -> Int { (last + cut - 1) / cut - first / cut }

  /// The slots of some shares.
  func slots(ofShares range: Range<Int>, cut: Int) -> Range<Int> {
    guard !range.isEmpty else { return first..<first }
    return max(first, (first / cut + range.lowerBound) * cut)..<min(last, (first / cut + range.upperBound) * cut)
  }
}

/// The runs that a KV head reads, and the multiple of slots at which threads may cut them.
struct RunList {
  var runs: UnsafePointer<Run>
  var count: Int
  var cut: Int
}

/// What a step reads of its sequence: runs of slots, and which of them each token sees, in flat buffers.
final class StepReadings {
  private var runs = GrowingBuffer<Run>()
  private(set) var runCount = 0
  /// `[run with bounds, token]`
  private var visibleFirst = GrowingBuffer<Int32>()
  private var visibleLast = GrowingBuffer<Int32>()
  /// What each token sees of the chunk, `[token]`.
  private var chunkFirst = GrowingBuffer<Int32>()
  private var chunkLast = GrowingBuffer<Int32>()
  /// The number of the chunk's own block.
  private var chunkBlock = 0

  /// All runs, which a head reads unless a mechanism chooses among them.
  var all: RunList { RunList(runs: UnsafePointer(runs.pointer), count: runCount, cut: 64) }

  func prepare(_ step: StepPlan, _ slots: SlotStore, chunkBlock: Int, tokens: Int) {
    self.chunkBlock = chunkBlock
    visibleFirst.copy(step.visibleFirst)
    visibleLast.copy(step.visibleLast)
    chunkFirst.reserve(tokens)
    chunkLast.reserve(tokens)
    for token in 0..<tokens {
      chunkFirst.pointer[token] = Int32(step.firstVisibleChunkToken(token))
      chunkLast.pointer[token] = Int32(token + 1)
    }
    runCount = 0
    runs.reserve(step.readings.count)
    for reading in step.readings {
      let run = Run(
        block: slots.firstBlock(ofStage: reading.stage) + reading.block, first: reading.slots.lowerBound,
        last: reading.slots.upperBound, clock: reading.clock, visible: reading.visible ?? -1,
        distances: reading.distances ?? -1)
      if runCount > 0, runs.pointer[runCount - 1].continues(with: run) {
        runs.pointer[runCount - 1].last = run.last
      } else {
        runs.pointer[runCount] = run
        runCount += 1
      }
    }
  }

  /// The first token of the chunk that a token of it sees.
  func firstChunkToken(of token: Int) -> Int { Int(chunkFirst.pointer[token]) }

  /// What each token of a task sees of a run, nil for all of it.
  func bounds(
    of run: Run, _ task: AttentionTask
  ) -> (first: UnsafePointer<Int32>?, last: UnsafePointer<Int32>?) {
    let token = task.tokens.lowerBound
    if run.block == chunkBlock {
      return (UnsafePointer(chunkFirst.pointer + token), UnsafePointer(chunkLast.pointer + token))
    }
    guard run.visible >= 0 else { return (nil, nil) }
    return (
      UnsafePointer(visibleFirst.pointer + run.visible + token),
      UnsafePointer(visibleLast.pointer + run.visible + token)
    )
  }
}
