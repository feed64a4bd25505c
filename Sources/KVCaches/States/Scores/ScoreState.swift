import Kernels

/// One number a slot: what its token was worth.
struct ScoreSpecification: StateSpecification {
  let rule: ScoreRule

  var decidesByHead: Bool { true }
  var partitions: Partitions { rule.isHomogeneous ? .byRequest : [.byHead, .byRequest] }

  func problem(with stages: [any StageSpecification]) -> String? {
    stages.first { $0.capacity == nil }.map { "cannot score the tokens of '\($0)', which grows without bound" }
  }

  func conflict(with other: any StateSpecification) -> String { "scores its tokens in more than one way" }

  func bytes(_ site: StateSite, tokens: Int) -> Int { site.count * site.boundedSlots * 8 }
  func makeState(_ site: StateSite) -> StageState { ScoreState(rule, site) }
}

/// The scores of all slots of a group whose heads decide who stays.
///
/// Float64: with decay 1 they are sums of all attention of a stream, which float32 would let drift and then stand still.
final class ScoreState: StageState {
  let rule: ScoreRule
  /// Slots of a head.
  let slots: Int
  /// `[place, slot]`
  let scores: Buffer<Double>

  init(_ rule: ScoreRule, _ site: StateSite) {
    self.rule = rule
    slots = site.boundedSlots
    scores = Buffer(count: site.count * slots)
    super.init(site)
  }

  override var name: String { "scores" }
  override var bytes: Int { scores.count * 8 }
  override func reset() { scores.elements.update(repeating: 0) }

  override func makeReplay(reusing old: LayerReplay?) -> LayerReplay? {
    guard let old = old as? ScoreReplay, old.fits(site) else { return ScoreReplay(site) }
    return old
  }

  override func makeUndo(depth: Int) -> StateUndo? { ScoreUndo(scores, depth: depth) }

  override func write(_ places: Range<Int>, of group: HeadGroup, to writer: inout SectionWriter) {
    let used = group.slots.usedSlots(ofStorage: 0, by: group.ledger.stages)
    for place in places { writer.write(scores.pointer + place * slots, count: used) }
  }

  override func read(
    _ places: Range<Int>, of group: HeadGroup, from reader: inout SectionReader
  ) throws(KVCacheError) {
    let used = group.slots.usedSlots(ofStorage: 0, by: group.ledger.stages)
    for place in places { try reader.read(into: scores.pointer + place * slots, count: used) }
  }
}

/// All scores as they were before each of the newest steps.
private final class ScoreUndo: StateUndo {
  private let scores: Buffer<Double>
  /// A ring, `[step, place, slot]`.
  private let copies: Buffer<Double>
  private let depth: Int
  private var next = 0

  init(_ scores: Buffer<Double>, depth: Int) {
    (self.scores, self.depth) = (scores, depth)
    copies = Buffer(count: depth * scores.count)
  }

  override var bytes: Int { copies.count * 8 }

  override func begin(tokens: Int, first: Int64) {
    (copies.pointer + next * scores.count).update(from: scores.pointer, count: scores.count)
    next = (next + 1) % depth
  }

  override func undo(tokens: Int, first: Int64) {
    next = (next + depth - 1) % depth
    scores.pointer.update(from: copies.pointer + next * scores.count, count: scores.count)
  }
}
