import Kernels

/// What a mechanism keeps of the heads of a group beside their slots.
///
/// It follows the counters of the group's ledger; what it does with floats during a step is its replay's. A mechanism is one
/// folder with a specification, a state and a replay; nothing outside knows more of it than this class.
class StageState {
  /// The heads, by their places.
  let site: StateSite

  init(_ site: StateSite) { self.site = site }

  /// What the sections of a snapshot are called, the same for ever.
  var name: String { preconditionFailure("a state has a name") }

  /// Bytes held now.
  var bytes: Int { 0 }

  /// Forgets everything.
  func reset() {}

  /// Of so many tokens, how many one chunk may have.
  func admissible(_ wanted: Int, of group: HeadGroup) -> Int { wanted }

  /// Does what has to be done between two steps, such as giving up tokens; may allocate.
  func settle(_ group: HeadGroup, team: WorkerTeam, kernels: InstructionSet) {}

  /// Takes note of a step that the ledger is going to plan.
  func willBegin(tokens: Int, of group: HeadGroup) {}

  /// Takes note of a step that the ledger has planned; the ledger's token count is that of after the step.
  func begin(tokens: Int, of group: HeadGroup) {}

  /// Says that a prompt has ended.
  func endPrompt(of group: HeadGroup, team: WorkerTeam, kernels: InstructionSet) {}

  /// The part of this state in a step; the one of an earlier step is used again where it fits.
  func makeReplay(reusing old: LayerReplay?) -> LayerReplay? { nil }

  /// Takes note that heads gave up all tokens but some, by their slots counted from the oldest, `[place][kept]`.
  func didChoose(_ kept: [[Int]]) {}

  /// Takes note that heads moved the tokens of bounded stages to other slots; `[place][slot]` is where it lay before.
  func didMove(_ slots: [[Int]]) {}

  /// Takes note that heads hold some tokens of a prompt that was read elsewhere, by their places in it, `[place][kept]`.
  func didTakePrompt(_ kept: [[Int]]) {}

  /// Tokens that the counters say were absorbed, or as many as it takes until neither what is kept nor the cost of a token
  /// changes in kind; for measurements.
  func tokensToFill(_ group: HeadGroup) -> Int { 0 }

  /// Takes in a token outside of a step, for measurements.
  func absorb(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, place: Int, _ kernels: InstructionSet
  ) {}

  // Taking back the newest tokens.

  /// Why what the state has taken up cannot be taken back, nil where it can.
  var rollBackProblem: String? { nil }

  /// Copies, for so many tokens, of what steps change; nil where nothing has to be copied.
  func makeUndo(depth: Int) -> StateUndo? { nil }

  /// Takes note of a change of the group between two steps, before it is made.
  func note(_ change: GroupChange) {}

  /// Takes note that the newest tokens were taken back.
  func didRollBack(_ group: HeadGroup) {}

  // Snapshots.

  /// The token count at which what is stored was last changed between two steps, such as by a prompt's cut; -1 for never.
  var lastChange: Int64 { -1 }

  /// Whether steps leave what is saved of the state as it is.
  var isSettled: Bool { false }

  /// Whether snapshots have sections of this state.
  var isSaved: Bool { true }

  /// Checks counters of stages from a snapshot, before anything is allocated for them.
  ///
  /// - Parameter payload: bytes of all sections beside the counters
  /// - Throws: `KVCacheError` where they are impossible for this state.
  func checkCounters(_ stages: [any Stage], tokens: Int64, payload: Int) throws(KVCacheError) {}

  /// Takes note that the counters of the group are those of a snapshot, whose other sections follow.
  func didRestoreCounters(_ group: HeadGroup) {}

  /// Appends what is kept for the heads at some places, all of one layer, to a section.
  func write(_ places: Range<Int>, of group: HeadGroup, to writer: inout SectionWriter) {}

  /// Takes up what `write` has written, in a state that was just made.
  ///
  /// - Throws: `KVCacheError` where that is impossible for this state.
  func read(_ places: Range<Int>, of group: HeadGroup, from reader: inout SectionReader) throws(KVCacheError) {}

  /// Whether a restored group cannot go on before the slots of all its layers are there; known with its counters.
  func needsAllLayers(of group: HeadGroup) -> Bool { false }

  /// Takes note that the slots and states of the group are those of a snapshot.
  func didRestore(_ group: HeadGroup) {}

  /// What takes its place in a group that was restored, of a state that the plan did not ask for.
  func renewed(for group: HeadGroup) -> StageState? { nil }
}

/// A change of a group between two steps that can be undone.
class GroupChange {
  /// Bytes that are held only to undo it.
  var bytes: Int { 0 }
  func undo(_ group: HeadGroup) {}
}

/// What a state changes in steps, copied step by step so that it can be put back.
class StateUndo {
  var bytes: Int { 0 }

  /// Copies what a step of so many tokens, whose first has the place `first` in the stream, is going to change.
  func begin(tokens: Int, first: Int64) {}

  /// Whether a step that is about to be planned leaves nothing to take back from before it.
  func startsAnew(_ group: HeadGroup) -> Bool { false }

  /// Whether the newest tokens of such a step can be taken back while the others stay.
  func splits(tokens: Int) -> Bool { false }

  /// Puts back what the newest step not yet taken back has changed, or the newest tokens of one that can be split.
  func undo(tokens: Int, first: Int64) {}

  /// Forgets all steps.
  func clear() {}
}
