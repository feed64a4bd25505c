/// What `GrammarBuilder` has put together, without what leads nowhere; immutable.
final class Grammar: Sendable {
  struct Edge: Sendable {
    let low: Int32
    let high: Int32
    let target: Int32
  }

  struct Call: Sendable {
    let rule: Int32
    let target: Int32
  }

  /// Arrays, objects and strings that may be open at once.
  static let depthLimit: Int32 = 96

  let rules: [GrammarBuilder.Rule]
  let counted: [CountedString]
  let closes: [UInt8]
  let start: Int32
  /// The state in which the text is complete.
  let accepting: Int32
  /// Of each state, how many rules have to be opened inside each other before its own can end; `unreachable` where it cannot.
  let heights: [Int32]
  let largestHeight: Int32
  /// The rule of each state that closes one; −1 elsewhere.
  let ruleOfClosing: [Int32]
  let hasSpecials: Bool
  private let edges: Lists<Edge>
  private let calls: Lists<Call>
  private let epsilons: Lists<Int32>

  /// Elements by state.
  private struct Lists<Element: Sendable>: Sendable {
    private var offsets: [Int32]
    private var elements: [Element] = []

    init(count: Int, _ pairs: [(Int32, Element)]) {
      offsets = [Int32](repeating: 0, count: count + 1)
      for (source, _) in pairs { offsets[Int(source) + 1] += 1 }
      for index in 0..<count { offsets[index + 1] += offsets[index] }
      var places = offsets
      var order = [Int](repeating: 0, count: pairs.count)
      for (index, pair) in pairs.enumerated() {
        order[Int(places[Int(pair.0)])] = index
        places[Int(pair.0)] += 1
      }
      elements = order.map { pairs[$0].1 }
    }

    subscript(state: Int32) -> ArraySlice<Element> {
      elements[Int(offsets[Int(state)])..<Int(offsets[Int(state) + 1])]
    }
  }

  /// - Throws: `ConstraintError` where no text is possible, or each is nested too deeply.
  init(_ builder: GrammarBuilder, accepting: Int32) throws(ConstraintError) {
    let heights = GrammarHeights(builder, accepting: accepting)
    let isLive = { (state: Int32) in state < 0 || heights.states[Int(state)] != GrammarHeights.unreachable }
    (rules, counted, closes, self.accepting) = (builder.rules, builder.counted, builder.closes, accepting)
    start = builder.rules[0].entry
    self.heights = heights.states
    largestHeight = heights.states.filter { $0 != GrammarHeights.unreachable }.max() ?? 0
    guard isLive(start) else {
      throw ConstraintError("#", nil, "allows no finite document")
    }
    guard largestHeight <= Self.depthLimit / 2 else {
      throw ConstraintError("#", nil, "asks for more than \(Self.depthLimit / 2) levels of nesting")
    }
    let count = builder.closes.count
    edges = Lists(
      count: count,
      builder.edges.filter { isLive($0.source) && isLive($0.target) }
        .map { ($0.source, Edge(low: $0.low, high: $0.high, target: $0.target)) })
    calls = Lists(
      count: count,
      builder.calls.filter { isLive($0.source) && isLive($0.target) && isLive(builder.entry(of: $0.rule)) }
        .map { ($0.source, Call(rule: $0.rule, target: $0.target)) })
    epsilons = Lists(
      count: count,
      builder.epsilons.filter { isLive($0.source) && isLive($0.target) }.map { ($0.source, $0.target) })
    hasSpecials = builder.edges.contains { $0.high > 255 }
    ruleOfClosing = heights.ruleOfClosing
  }

  func edges(of state: Int32) -> ArraySlice<Edge> { edges[state] }
  func calls(of state: Int32) -> ArraySlice<Call> { calls[state] }
  func epsilons(of state: Int32) -> ArraySlice<Int32> { epsilons[state] }

  func height(of state: Int32) -> Int32 { state < 0 ? 0 : heights[Int(state)] }

  /// The string rule of a counted state.
  func countedString(of state: Int32) -> CountedString {
    var (low, high) = (0, counted.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if counted[middle].start <= -1 - state { low = middle } else { high = middle }
    }
    return counted[low]
  }

  /// Whether a state says something by itself, and does not only lead to others.
  func isSignificant(_ state: Int32) -> Bool {
    state == accepting || closes[Int(state)] != 0 || !edges[state].isEmpty || !calls[state].isEmpty
  }
}
