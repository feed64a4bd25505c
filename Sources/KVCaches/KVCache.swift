package import Kernels

/// The memory of one sequence: stages that a token falls through, with the keys and values they hold.
///
/// Heads that follow the same stages form a group; groups take in every chunk together. Not thread safe: one step at a
/// time. All bytes of a bounded plan are allocated when the cache is made, and their number is known before
/// (`bytes(plan:shape:slotType:tokens:)`).
public final class KVCache: SequenceMemory {
  public let plan: Plan
  public let slotType: SlotType
  /// What attention is in each layer of the model.
  package let attention: [AttentionLayer]
  /// Which KV heads are stored here, and which of their slots.
  package let heads: HeadShare
  package let slots: SlotShare
  /// Heads that follow the same stages, those that keep most first.
  private(set) var groups: [HeadGroup]
  /// The states of layers that keep no keys.
  private(set) var recurrent: RecurrentMemory
  /// Layers of a snapshot that are still on their way.
  private(set) var arrival: LayerArrival?

  /// The fewest tokens that the cache has had since it was saved: up to there its stream is the one that was saved.
  private(set) var fewestTokens = Int64.max

  /// Who keeps the heads that are not stored here; nil where all are, or nobody needs to be told.
  package private(set) var distantHeads: (any DistantHeads)?

  /// An empty cache.
  ///
  /// - Parameters:
  ///   - heads: which KV heads of each layer it stores; what it counts is the same for all
  ///   - slots: which slots of these heads it stores
  ///   - distant: who keeps the others, and is told of all that becomes of the sequence between two steps
  /// - Throws: `KVCacheError` where the plan or the slot type does not fit the model.
  package init(
    plan: Plan, layers: [AttentionLayer], slotType: SlotType = .float16, heads: HeadShare = .all,
    slots: SlotShare = .all, distant: (any DistantHeads)? = nil
  ) throws(KVCacheError) {
    (self.plan, self.slotType, attention) = (plan, slotType, layers.map { $0.resolved(for: plan) })
    (self.heads, self.slots, distantHeads) = (heads, slots, distant)
    if slots != .all, let problem = plan.slotShareProblem { throw .badSpecification(plan.description, problem) }
    groups = try Self.makeGroups(plan, attention, slotType, heads, slots)
    recurrent = RecurrentMemory(RecurrentLayout(layers))
  }

  /// An empty cache for a model whose layers are alike.
  package convenience init(
    plan: Plan, shape: Shape, slotType: SlotType = .float16, positions: PositionEncoding
  ) throws(KVCacheError) {
    try self.init(plan: plan, layers: shape.layers(positions: positions), slotType: slotType)
  }

  private static func makeGroups(
    _ plan: Plan, _ layers: [AttentionLayer], _ slotType: SlotType, _ heads: HeadShare, _ slots: SlotShare
  ) throws(KVCacheError) -> [HeadGroup] {
    var groups: [HeadGroup] = []
    for part in try plan.parts(for: layers, storing: heads) {
      groups.append(try HeadGroup(part, slotType: slotType, slots: slots))
    }
    return groups
  }

  /// Empty groups like those of this cache.
  func makeGroups() throws(KVCacheError) -> [HeadGroup] { try Self.makeGroups(plan, attention, slotType, heads, slots) }

  /// Takes up groups that were restored; what the plan did not ask for is made anew for them.
  ///
  /// - Parameter arrival: says when the slots of each layer are there; nil where all are
  func replace(_ restored: [HeadGroup], _ recurrent: RecurrentMemory, arrival: LayerArrival? = nil) {
    self.arrival?.waitForAll()
    self.arrival = arrival
    for (old, new) in zip(groups, restored) {
      for state in old.states {
        if let renewed = state.renewed(for: new) { new.add(renewed) }
      }
    }
    groups = restored
    self.recurrent = recurrent
    fewestTokens = 0
  }

  /// Layers, and heads of the first one that attends, which of most models all are like.
  public var shape: Shape { Shape(attention) }

  /// Tokens that ever entered, which is the place in the stream of the next one.
  public var tokenCount: Int64 { groups[0].ledger.tokenCount }

  /// Tokens held apart now, by the heads that keep most.
  public var heldTokens: Int { groups[0].ledger.heldTokens }

  /// The slots to which a token attends now, in the mean over heads.
  package var attendedSlots: Int {
    var (slots, heads) = (0, 0)
    for group in groups {
      slots += group.heads.count * group.ledger.heldTokens
      heads += group.heads.count
    }
    return heads == 0 ? 0 : slots / heads
  }

  /// Bytes of keys, values, what absorbed them, what decides on them (scores, queries, bounds of pages), and of the log
  /// from which they are taken back, held now; of heads that are kept elsewhere too.
  public var bytes: Int { groups.reduce(recurrent.bytes + (distantHeads?.bytes(of: self) ?? 0)) { $0 + $1.bytes } }

  /// What of `bytes` the machine has given already: a bounded cache takes its pages as it fills.
  package var takenBytes: Int { groups.reduce(bytes) { $0 - $1.bytes + $1.takenBytes } }

  /// Why what the cache answers is not to be used, until it is reset: layers of a snapshot with which it went on did not
  /// come, or who keeps heads elsewhere is lost. Nil while all is well.
  package var failure: KVCacheError? { arrival?.failure ?? distantHeads?.failure }

  /// Layers that a step has to wait for.
  func takeArrival() -> LayerArrival? {
    if arrival?.isComplete == true { arrival = nil }
    return arrival
  }

  /// Forgets everything; a bounded cache keeps its memory, with zeros in it.
  public func reset() {
    arrival?.waitForAll()
    arrival = nil
    for group in groups { group.reset() }
    recurrent.reset()
    fewestTokens = 0
    distantHeads?.reset()
  }

  /// Notes that tokens were taken back.
  func noteRollBack() { fewestTokens = min(fewestTokens, tokenCount) }

  /// Notes that what is remembered now is saved, or was just taken up from where it is.
  package func noteSaved() { fewestTokens = .max }

  /// Notes that the start of what is saved was taken up.
  package func noteCut() { fewestTokens = tokenCount }

  /// How many of `wanted` tokens the next chunk may have.
  package func admissibleChunk(_ wanted: Int) -> Int {
    var wanted = wanted
    for group in groups { wanted = group.admissible(wanted) }
    return wanted
  }

  /// Does what has to be done between two steps, such as giving up tokens; may allocate where it does.
  package func settle(team: WorkerTeam, kernels: InstructionSet) {
    for group in groups {
      for state in group.states { state.settle(group, team: team, kernels: kernels) }
    }
  }

  /// Decides what a chunk reads and where its tokens go, and counts them in. Allocates nothing once it has seen a chunk
  /// of that size, unless a stage without bound grows.
  ///
  /// - Precondition: `tokens` is at most `admissibleChunk(tokens)`.
  package func beginStep(tokens: Int) {
    precondition(tokens > 0 && tokens <= admissibleChunk(tokens), "a chunk the cache does not admit")
    recurrent.begin(tokens: tokens, after: tokenCount)
    for group in groups { group.begin(tokens: tokens) }
  }

  /// Says that the prompt has ended: a cache that chooses among a prompt's tokens gives up the others. Others stay as
  /// they are.
  ///
  /// To be called once a prompt, after its last token and before the first one of the answer, whose logits are thereby
  /// those of the full cache. Needs, beside what is kept, a float for every token held, layer and KV head, and for
  /// centers a head's keys in float32 for each thread.
  package func finishPrompt(team: WorkerTeam, kernels: InstructionSet) {
    arrival?.waitForAll()
    for group in groups {
      for state in group.states { state.endPrompt(of: group, team: team, kernels: kernels) }
    }
    distantHeads?.endPrompt(of: self)
  }
}
