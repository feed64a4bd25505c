import Kernels

/// What a mechanism does while a step is replayed in one layer: before attention, in it, and after it.
///
/// The default does nothing, reads everything, and keeps no weights. A replay serves one group of one segment at a time
/// and is used again by later steps, so its buffers grow to the largest step seen and a warm step allocates nothing.
/// Methods with a head are called by one thread at a time for that head. `step` has the tables of the group's step.
class LayerReplay {
  /// What a replay takes part in; what it does not name costs nothing.
  struct Roles: OptionSet {
    let rawValue: Int

    /// Works before attention: `units` and `work`.
    static let before = Roles(rawValue: 1 << 0)
    /// Says which runs a head reads: `runs`.
    static let choosesRuns = Roles(rawValue: 1 << 1)
    /// Adds up attention weights by slots: what stands under "Weights by slots".
    static let keepsWeights = Roles(rawValue: 1 << 2)
    /// Adds a partial: `attend`.
    static let attends = Roles(rawValue: 1 << 3)
    /// Joins something last, when all else has been merged: `close`.
    static let closes = Roles(rawValue: 1 << 4)
    /// Sees a layer's queries, also where its keys are another's: `observe`.
    static let observes = Roles(rawValue: 1 << 5)
    /// Sees a layer's keys and values as they came: `arrive`.
    static let takesArrivals = Roles(rawValue: 1 << 6)
    /// Carries out placements: `place`.
    static let places = Roles(rawValue: 1 << 7)
    /// Takes tokens without a slot: `absorb`.
    static let absorbs = Roles(rawValue: 1 << 8)
    /// Sees slots before and after they are written: `willWrite`, `didWrite`.
    static let watchesSlots = Roles(rawValue: 1 << 9)

    /// What has all tokens of a head placed one after another.
    static let placesInOrder: Roles = [.places, .absorbs, .takesArrivals]
  }

  /// The same in all layers of a step, once it is prepared. Asked in every layer: where there are several they are put
  /// together once, since a list in brackets is an array first.
  var roles: Roles { [] }

  /// Takes over what the ledger decided; the tables of `step` are ready.
  ///
  /// - Parameter threads: of the team.
  func prepare(_ group: HeadGroup, _ step: GroupReplay, threads: Int) {}

  /// Floats that `attend`, `close`, `arrive` and `absorb` want of their thread's scratch.
  var scratchFloats: Int { 0 }

  // Before attention.

  /// Pieces of work of a layer in one of two phases, of which the second begins when the first is done.
  func units(phase: Int, layer: Int, threads: Int, _ step: GroupReplay) -> Int { 0 }

  /// Whether the work is worth a join of the threads.
  var isLarge: Bool { false }

  func work(
    unit: Int, of units: Int, phase: Int, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {}

  // In attention.

  /// The runs that a head reads in the layer under way.
  func runs(head: Int, _ step: GroupReplay) -> RunList { step.readings.all }

  /// Attends to what the mechanism keeps, continuing the task's partials from row `firstRow` on.
  func attend(
    _ task: AttentionTask, _ call: LayerCall, _ step: GroupReplay, share: WorkShare, firstRow: Int,
    _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {}

  /// Joins a partial to the final ones of a task, from row `firstRow` on.
  func close(
    _ task: AttentionTask, _ call: LayerCall, _ step: GroupReplay, firstRow: Int, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {}

  // Weights by slots.

  /// Tokens that are attended with at once, and of a task, which are attended with tile after tile.
  func tokens(_ step: GroupReplay) -> (tile: Int, task: Int) { (step.shape.tileTokens, step.shape.tileTokens) }

  /// Whether weights are kept as halves.
  var keepsHalves: Bool { false }

  /// Makes the columns of a task empty.
  func startColumns(_ task: AttentionTask, _ step: GroupReplay) {}

  /// Adds up the weights that attention kept of a tile, or of a share of a single token's slots.
  ///
  /// - Parameters:
  ///   - maximum: final maxima of the rows; may be changed
  ///   - kept: where the weights begin
  /// - Returns: floats of kept weights read.
  @discardableResult
  func addColumns(
    _ task: AttentionTask, _ step: GroupReplay, share: WorkShare, maximum: UnsafeMutablePointer<Float>,
    sum: UnsafePointer<Float>, kept: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> Int { 0 }

  /// Notes what the softmax of a single token's rows came to, in a layer that threads share by slots.
  func keepSoftmax(_ partial: PartialAttention, _ step: GroupReplay) {}

  /// A thread's share of a single token's slots: columns of the weights that it kept, and what follows from them.
  ///
  /// - Returns: floats of kept weights read.
  func finishColumns(
    _ tasks: UnsafeBufferPointer<AttentionTask>, _ step: GroupReplay, share: WorkShare, layer: Int,
    kept: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) -> Int { 0 }

  /// Pieces of work between attention and placements, in a layer that threads share by tasks.
  var columnUnits: Int { 0 }
  func finishColumns(unit: Int, layer: Int, _ step: GroupReplay) {}

  // After attention.

  /// Sees the layer's queries.
  func observe(_ call: LayerCall, _ step: GroupReplay) {}

  /// Sees the keys and values of one KV head as they came, before placements.
  func arrive(
    head: Int, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {}

  /// Carries out the step's placements for one KV head.
  func place(
    head: Int, _ call: LayerCall, _ step: GroupReplay, _ scratch: ThreadScratch, _ kernels: InstructionSet
  ) {}

  /// Takes a token in that has no slot.
  ///
  /// - Parameters:
  ///   - key: `[headDim]`, at the clock that the stage asked for
  ///   - place: of the head
  func absorb(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, place: Int, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) { assertionFailure("a stage without slots has a state that absorbs") }

  /// Sees a slot that is about to be written, as the head's `write`-th of the step.
  func willWrite(
    _ target: SlotPlace, of slots: SlotStorage, write: Int, place: Int, row: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {}

  /// Sees a slot that was written.
  ///
  /// - Parameter origin: the chunk's token, or -2 − the slot in which it lay before the step
  func didWrite(
    _ target: SlotPlace, of slots: SlotStorage, origin: Int, layer: Int, place: Int, row: UnsafeMutablePointer<Float>,
    _ step: GroupReplay, _ kernels: InstructionSet
  ) {}
}
