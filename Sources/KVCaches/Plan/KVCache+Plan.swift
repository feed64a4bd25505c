extension KVCache {
  /// What a cache remembers: a list of stages that a token falls through.
  ///
  /// ```swift
  /// let plan = KVCache.Plan { Sinks(4); Window(1020) }
  /// let same = try KVCache.Plan("streaming-llm:4+1020")
  /// ```
  public struct Plan: Sendable, Hashable, CustomStringConvertible {
    /// The stages, in the order in which a token meets them.
    ///
    /// Where heads differ, those of the heads that keep most.
    public let stages: [any StageSpecification]

    /// Which heads follow other stages, nil where none does.
    let division: HeadDivision?

    /// A plan of the given stages.
    ///
    /// - Precondition: there is at least one stage, and none stands behind one that keeps every token.
    public init(@StageBuilder _ stages: () -> [any StageSpecification]) {
      self.init(stages: stages())
    }

    init(stages: [any StageSpecification], division: HeadDivision? = nil) {
      precondition(Self.problem(with: stages) == nil, "an impossible list of stages")
      self.stages = stages
      self.division = division
    }

    /// The ordinary cache that keeps every token.
    public static let full = Plan { Tokens() }

    /// The most tokens the cache holds, or nil where it grows with the stream.
    public var capacity: Int? {
      stages.reduce(0) { (sum: Int?, stage) in
        guard let sum, let capacity = stage.capacity else { return nil }
        return sum + capacity
      }
    }

    /// Whether every token of a chunk sees exactly what it would see if tokens came one at a time.
    package var slidesExactly: Bool { evictsInOrder && !stages.contains(where: \.blueprint.showsWholeChunk) }

    /// Whether the oldest token is always the next to go.
    package var evictsInOrder: Bool { stages.allSatisfy(\.blueprint.evictsInOrder) }

    /// What is kept beside slots.
    var states: [any StateSpecification] { Self.states(of: stages) }

    /// Whether queries keep their places in the stream for some stage.
    package var usesOriginalPositions: Bool { stages.contains { $0.blueprint.distance == .original } }

    /// The ways in which the work for such a cache may be divided over processes without changing its results.
    package var partitions: Partitions { states.reduce(.all) { $0.intersection($1.partitions) } }

    private static func states(of stages: [any StageSpecification]) -> [any StateSpecification] {
      var states: [any StateSpecification] = []
      for state in stages.flatMap(\.blueprint.states) where !states.contains(where: { state.equals($0) }) {
        states.append(state)
      }
      return states
    }

    /// Why the stages cannot work together, or nil where they can.
    static func problem(with stages: [any StageSpecification]) -> String? {
      guard !stages.isEmpty else { return "names no stage" }
      if let last = stages.dropLast().first(where: { $0.capacity == nil || $0.blueprint.absorbs }) {
        return "nothing falls out of '\(last)', so no stage can stand behind it"
      }
      if let open = stages.dropLast().first(where: \.blueprint.opensForPrompt) {
        return "nothing falls out of '\(open)' while a prompt is read, so no stage can stand behind it"
      }
      for (stage, next) in zip(stages, stages.dropFirst())
      where stage.blueprint.letsGoTogether && !next.blueprint.absorbs {
        return "'\(stage)' lets its tokens go together, so '\(next)' cannot stand behind it"
      }
      if stages.dropFirst().contains(where: { $0.blueprint.streamStart > 0 }) { return "sinks must be the first stage" }
      let isOnlyStart = stages.allSatisfy { $0.blueprint.streamStart > 0 || $0.blueprint.absorbs }
      if let last = stages.last, last.blueprint.absorbs, isOnlyStart {
        return "needs a window of recent tokens in front of '\(last)'"
      }
      if let problem = positionProblem(with: stages) { return problem }
      if stages.count > 1, let stage = stages.first(where: \.blueprint.standsAlone) {
        return "'\(stage)' must stand alone"
      }
      if let problem = stateProblem(with: stages) { return problem }
      if isOnlyStart { return "needs a stage for recent tokens behind the sinks" }
      return nil
    }

    /// Why stages cannot have what they ask to be kept beside slots.
    private static func stateProblem(with stages: [any StageSpecification]) -> String? {
      let states = states(of: stages)
      for (index, state) in states.enumerated() {
        if let other = states[..<index].first(where: { state.contradicts($0) }) { return state.conflict(with: other) }
        if let problem = state.problem(with: stages) { return problem }
      }
      return nil
    }

    /// Why stages cannot agree on where tokens stand.
    private static func positionProblem(with stages: [any StageSpecification]) -> String? {
      let distant = stages.filter { $0.blueprint.distance != .inCache }
      if let last = distant.last, let other = distant.first(where: { $0.blueprint.distance != last.blueprint.distance })
      {
        return "'\(other)' and '\(last)' must have the same positions"
      }
      if let original = distant.first(where: { $0.blueprint.distance == .original }),
        let window = stages.first(where: { !$0.blueprint.isGapless })
      {
        let advice = original.blueprint.streamStart > 0 ? "leave out positions" : "write positions=clipped"
        return "'\(window)' does not know the places in the stream that '\(original)' keeps; \(advice)"
      }
      return nil
    }

    /// The stages as a specification that `init(_:)` reads back.
    public var description: String {
      division?.description ?? stages.map(\.description).joined(separator: ",")
    }

    public static func == (a: Plan, b: Plan) -> Bool { a.description == b.description }
    public func hash(into hasher: inout Hasher) { hasher.combine(description) }
  }
}

/// Builds the stages of a `KVCache.Plan` from a list of statements.
@resultBuilder
public enum StageBuilder {
  public static func buildBlock(_ stages: any StageSpecification...) -> [any StageSpecification] { stages }
}
