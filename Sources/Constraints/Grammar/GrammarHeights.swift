/// Which states can lead to the end of their rule, and how deep rules must be nested for it.
struct GrammarHeights {
  static let unreachable = Int32.max

  private(set) var states: [Int32]
  /// The rule of each state that closes one; −1 elsewhere.
  private(set) var ruleOfClosing: [Int32]
  private var queues: [[Int32]] = [[]]

  /// In time linear in the grammar: states are found backwards from ends, those without calls first.
  init(_ builder: GrammarBuilder, accepting: Int32) {
    let count = builder.closes.count
    states = [Int32](repeating: Self.unreachable, count: count)
    ruleOfClosing = Self.rulesOfClosing(builder)
    var incoming = [[Int32]](repeating: [], count: count)
    var incomingCalls = [[(source: Int32, rule: Int32)]](repeating: [], count: count)
    var callers = [[(source: Int32, target: Int32)]](repeating: [], count: builder.rules.count)
    for edge in builder.edges { incoming[Int(edge.target)].append(edge.source) }
    for (source, target) in builder.epsilons { incoming[Int(target)].append(source) }
    for call in builder.calls {
      incomingCalls[Int(call.target)].append((call.source, call.rule))
      callers[Int(call.rule)].append((call.source, call.target))
    }
    var heights = builder.rules.map { $0.entry < 0 ? Int32(0) : Self.unreachable }
    var ruleOfEntry: [Int32: Int] = [:]
    for (rule, description) in builder.rules.enumerated() { ruleOfEntry[description.entry] = rule }

    queues[0] = builder.closes.indices.filter { builder.closes[$0] != 0 }.map(Int32.init) + [accepting]
    var level = 0
    while level < queues.count {
      while let state = queues[level].popLast() {
        guard states[Int(state)] == Self.unreachable else { continue }
        states[Int(state)] = Int32(level)
        queues[level] += incoming[Int(state)].filter { states[Int($0)] == Self.unreachable }
        for (source, rule) in incomingCalls[Int(state)] where heights[Int(rule)] != Self.unreachable {
          add(source, at: max(level, Int(heights[Int(rule)]) + 1))
        }
        guard let rule = ruleOfEntry[state] else { continue }
        heights[rule] = Int32(level)
        for (source, target) in callers[rule] where states[Int(target)] != Self.unreachable {
          add(source, at: level + 1)
        }
      }
      level += 1
    }
  }

  private mutating func add(_ state: Int32, at level: Int) {
    while queues.count <= level { queues.append([]) }
    if states[Int(state)] == Self.unreachable { queues[level].append(state) }
  }

  /// Forward from each rule's entry, which stays within the rule.
  private static func rulesOfClosing(_ builder: GrammarBuilder) -> [Int32] {
    let count = builder.closes.count
    var outgoing = [[Int32]](repeating: [], count: count)
    for edge in builder.edges { outgoing[Int(edge.source)].append(edge.target) }
    for (source, target) in builder.epsilons { outgoing[Int(source)].append(target) }
    for call in builder.calls { outgoing[Int(call.source)].append(call.target) }
    var owner = [Int32](repeating: -1, count: count)
    for (rule, description) in builder.rules.enumerated() where description.entry >= 0 {
      var open = [description.entry]
      while let state = open.popLast() {
        guard owner[Int(state)] < 0 else { continue }
        owner[Int(state)] = Int32(rule)
        open += outgoing[Int(state)]
      }
    }
    return builder.closes.indices.map { builder.closes[$0] == 0 ? -1 : owner[$0] }
  }
}
