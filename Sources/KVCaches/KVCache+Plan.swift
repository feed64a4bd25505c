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

    /// Which heads of a model follow which plan.
    func parts(for shape: Shape) throws(KVCacheError) -> [HeadDivision.Part] {
      guard let division else { return [HeadDivision.Part(plan: self, heads: StoredHeads(allOf: shape))] }
      return try division.parts(of: self, shape: shape)
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
    package var slidesExactly: Bool { evictsInOrder && !stages.contains(where: \.showsWholeChunk) }

    /// Whether the oldest token is always the next to go.
    package var evictsInOrder: Bool { stages.allSatisfy(\.evictsInOrder) }

    /// How tokens are scored, nil where no stage asks for it.
    package var scoring: ScoreRule? { stages.lazy.compactMap(\.scoring).first }

    /// How a token that comes alone reads only some pages of the last stage, nil where it reads all.
    var pageReading: PageReading? { stages[stages.count - 1].pageReading }

    /// Whether queries keep their places in the stream for some stage.
    var usesOriginalPositions: Bool { stages.contains { $0.distance == .original } }

    /// The sinks that the plan keeps.
    var sinkCount: Int { (stages[0] as? Sinks)?.count ?? 0 }

    /// The stage that votes on a prompt, nil where there is none.
    package var prompt: Prompt? { stages[0] as? Prompt }

    /// Why the stages cannot work together, or nil where they can.
    static func problem(with stages: [any StageSpecification]) -> String? {
      guard !stages.isEmpty else { return "names no stage" }
      if let unbounded = stages.dropLast().first(where: { $0.capacity == nil }) {
        return "nothing falls out of '\(unbounded)', so no stage can stand behind it"
      }
      if stages.dropFirst().contains(where: { $0 is Sinks }) { return "sinks must be the first stage" }
      if let problem = meltingProblem(with: stages) { return problem }
      if let problem = positionProblem(with: stages) { return problem }
      if stages.count > 1, let prompt = stages.first(where: { $0 is Prompt }) { return "'\(prompt)' must stand alone" }
      let rules = Set(stages.compactMap(\.scoring))
      if rules.count > 1 { return "scores its tokens in more than one way" }
      if !rules.isEmpty, let unbounded = stages.first(where: { $0.capacity == nil }) {
        return "cannot score the tokens of '\(unbounded)', which grows without bound"
      }
      if stages.allSatisfy({ $0 is Sinks }) { return "needs a stage for recent tokens behind the sinks" }
      return nil
    }

    /// What is wrong around a stage in which tokens melt together, or with places in the stream.
    private static func meltingProblem(with stages: [any StageSpecification]) -> String? {
      if let melting = stages.dropLast().first(where: { $0 is any MeltingSpecification }) {
        return "nothing falls out of '\(melting)', so no stage can stand behind it"
      }
      guard let last = stages.last, last is any MeltingSpecification else { return nil }
      if stages.dropLast().allSatisfy({ $0 is Sinks }) {
        return "needs a window of recent tokens in front of '\(last)'"
      }
      return nil
    }

    /// Why stages cannot agree on where tokens stand.
    private static func positionProblem(with stages: [any StageSpecification]) -> String? {
      let distant = stages.filter { $0.distance != .inCache }
      if let last = distant.last, let other = distant.first(where: { $0.distance != last.distance }) {
        return "'\(other)' and '\(last)' must have the same positions"
      }
      if let original = distant.first(where: { $0.distance == .original }),
        let window = stages.first(where: { ($0 as? Window)?.period ?? 1 > 1 })
      {
        return "'\(window)' does not know the places in the stream that '\(original)' keeps; write positions=clipped"
      }
      return nil
    }

    /// The stage in which tokens melt together, nil where there is none.
    var melting: (any MeltingSpecification)? { stages[stages.count - 1] as? any MeltingSpecification }

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
