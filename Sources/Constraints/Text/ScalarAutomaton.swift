/// A nondeterministic automaton over scalars without empty steps.
struct ScalarAutomaton: Sendable {
  struct Edge: Sendable {
    var scalars: ScalarRanges
    var target: Int
  }

  /// By state; the text begins in state 0.
  var edges: [[Edge]] = [[]]
  var isAccepting: [Bool] = [false]

  /// Bounds on what one pattern may need.
  static let (stateLimit, edgeLimit) = (20_000, 200_000)

  init() {}

  /// The texts in which a regular expression matches.
  ///
  /// - Throws: `ConstraintError` that names the keyword
  init(_ expression: String, _ pointer: String, _ keyword: String) throws(ConstraintError) {
    do {
      self = try RegularExpression(expression).automaton()
    } catch {
      throw ConstraintError(pointer, keyword, error.reason)
    }
    if isTooLarge { throw ConstraintError(pointer, keyword, "needs too many states") }
  }

  var isTooLarge: Bool {
    edges.count > Self.stateLimit || edges.reduce(0) { $0 + $1.count } > Self.edgeLimit
  }

  mutating func addState(isAccepting accepts: Bool) -> Int {
    edges.append([])
    isAccepting.append(accepts)
    return edges.count - 1
  }

  /// Texts that both accept; nil where that is too large.
  func intersection(_ other: ScalarAutomaton) -> ScalarAutomaton? {
    product { state, second in
      let accepts = self.isAccepting[state] && other.isAccepting[second]
      let edges = self.edges[state].flatMap { edge in
        other.edges[second].compactMap { otherEdge -> (ScalarRanges, Int, Int)? in
          let common = edge.scalars.intersection(otherEdge.scalars)
          return common.isEmpty ? nil : (common, edge.target, otherEdge.target)
        }
      }
      return (accepts, edges)
    }
  }

  /// Its texts of so many scalars; nil where that is too large.
  func counted(_ minimum: Int, _ maximum: Int?) -> ScalarAutomaton? {
    product { state, count in
      let accepts = self.isAccepting[state] && count >= minimum
      if let maximum, count >= maximum { return (accepts, []) }
      let next = maximum == nil ? min(count + 1, minimum) : count + 1
      return (accepts, self.edges[state].map { ($0.scalars, $0.target, next) })
    }
  }

  /// The reachable part of this automaton beside a second state.
  private func product(
    _ expand: (Int, Int) -> (accepts: Bool, edges: [(ScalarRanges, Int, Int)])
  ) -> ScalarAutomaton? {
    struct Pair: Hashable { let (state, second): (Int, Int) }
    var result = ScalarAutomaton()
    var known = [Pair(state: 0, second: 0): 0]
    var open = [Pair(state: 0, second: 0)]
    while let pair = open.popLast(), let place = known[pair] {
      let (accepts, edges) = expand(pair.state, pair.second)
      result.isAccepting[place] = accepts
      for (scalars, state, second) in edges {
        let target = Pair(state: state, second: second)
        if known[target] == nil {
          known[target] = result.addState(isAccepting: false)
          open.append(target)
        }
        result.edges[place].append(Edge(scalars: scalars, target: known[target] ?? 0))
      }
      guard !result.isTooLarge else { return nil }
    }
    return result
  }

  /// Whether it accepts a text.
  func accepts(_ text: String) -> Bool {
    var states: Set<Int> = [0]
    for scalar in text.unicodeScalars {
      states = Set(
        states.flatMap { edges[$0].filter { $0.scalars.contains(scalar.value) }.map(\.target) })
    }
    return states.contains { isAccepting[$0] }
  }
}

extension GrammarBuilder {
  /// Texts of an automaton; inside of a string they end with its closing quote, else in `target`.
  mutating func add(
    _ automaton: ScalarAutomaton, _ writing: Writing, from source: Int32, to target: Int32?
  ) throws(ConstraintError) {
    var states = [source]
    for _ in 1..<max(1, automaton.edges.count) { states.append(try state()) }
    for (place, edges) in automaton.edges.enumerated() {
      for edge in edges { try scalars(edge.scalars, writing, from: states[place], to: states[edge.target]) }
      guard automaton.isAccepting[place] else { continue }
      if let target { epsilon(states[place], target) } else { close(states[place], with: UInt8(ascii: "\"")) }
    }
  }
}
