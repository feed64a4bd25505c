import Kernels

/// A stage in which tokens melt together, behind stages that keep tokens apart.
protocol MeltingSpecification: StageSpecification, StateSpecification {
  /// `original` or `clipped`.
  var distance: StageDistance { get }

  /// Over how many positions behind the nearest one clipped tokens are taken to be spread, evenly; 0 where all stand there.
  var distanceSpread: Int { get }
}

extension MeltingSpecification {
  /// A melting stage has no slots of its own in the storage that other stages share.
  public var capacity: Int? { 0 }

  public var blueprint: StageBlueprint {
    let (isClipped, spread) = (distance == .clipped, distanceSpread)
    var blueprint = StageBlueprint { MeltingStage(isClipped: isClipped, spread: spread) }
    blueprint.evictsInOrder = false
    blueprint.distance = distance
    blueprint.absorbs = true
    blueprint.states = [self]
    return blueprint
  }

  var distanceSpread: Int { 0 }

  // What has melted cannot be merged from parts that melted elsewhere.
  var partitions: Partitions { [.byHead, .byRequest] }
}

/// What remains of tokens that melt together: for every head some numbers that stand for all of them.
///
/// That a token melts in follows from counters; what it does there is decided here, for each head alone. Heads are given by
/// their places. Two threads never call for the same head at once.
class StageSummary: StageState {
  /// Whether keys melt without position.
  let isClipped: Bool

  init(_ site: StateSite, isClipped: Bool) {
    self.isClipped = isClipped
    super.init(site)
  }

  var headDim: Int { site.headDim }
  var headCount: Int { site.count }

  override var name: String { "summary" }

  override var rollBackProblem: String? { "melts tokens together, and what has melted cannot be taken apart" }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? SummaryReplay else { return SummaryReplay() }
    return old
  }

  /// Floats that `melt`, `observe` and `attend` with so many rows want of their thread's scratch.
  func scratchFloats(rows: Int) -> Int { 0 }

  /// Whether `observe` wants to see the tokens that enter the cache while its exact stages have room.
  var observesArrivals: Bool { false }

  /// Sees the key of a token that enters the cache while its exact stages have room, as `melt` would get it; before
  /// anything melts.
  func observe(
    key: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {}

  /// Takes a token in.
  ///
  /// - Parameters:
  ///   - key: `[headDim]`, without position where the stage's distance is clipped, else rotated to its place in the stream.
  ///   - value: `[headDim]`
  func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {}

  /// Attends to a share of what a head keeps, continuing the partial.
  ///
  /// - Parameters:
  ///   - queries: rotated to the stage's distance, or to their places in the stream, and scaled.
  ///   - share: threads that attend together call with one index each; all calls together see everything once.
  ///   - kernelScratch: what `InstructionSet.attend` wants.
  func attend(
    _ queries: QueryRows, head: Int, share: WorkShare, partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {}

  /// Tokens after which neither what is kept nor the cost of a token changes in kind.
  var fullAfter: Int { 0 }

  override func tokensToFill(_ group: HeadGroup) -> Int {
    guard let stage = group.ledger.stages.last as? MeltingStage else { return 0 }
    return Int(min(stage.melted, Int64(fullAfter)))
  }

  override func absorb(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, place: Int, _ kernels: InstructionSet
  ) {
    let scratch = Buffer<Float>(count: scratchFloats(rows: 1))
    melt(key: key, value: value, head: place, scratch: scratch.pointer, kernels)
  }

  /// Appends all of a head to a snapshot.
  func write(head: Int, to writer: inout SectionWriter) {}

  /// Takes up what `write` has written, of a summary that was just made.
  ///
  /// - Throws: `KVCacheError` where that is impossible for this summary.
  func read(head: Int, from reader: inout SectionReader) throws(KVCacheError) {}

  override func write(_ places: Range<Int>, of group: HeadGroup, to writer: inout SectionWriter) {
    for place in places { write(head: place, to: &writer) }
  }

  override func read(
    _ places: Range<Int>, of group: HeadGroup, from reader: inout SectionReader
  ) throws(KVCacheError) {
    for place in places { try read(head: place, from: &reader) }
  }
}
