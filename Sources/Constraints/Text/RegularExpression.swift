/// A regular expression as JSON schemas write them: the part of ECMA-262 that is regular.
///
/// Literals, `.`, classes with `\d \w \s` and their negations, escapes, groups, `|`, `* + ? {n,m}` (lazy or not), `^` and `$`.
/// Without anchors it matches anywhere in a text. References back, looking around, `\b` and `\p` are refused. Everything is by
/// scalars, as with the flag `u`.
indirect enum RegularExpression: Sendable, Hashable {
  case empty
  case scalars(ScalarRanges)
  case start
  case end
  case sequence([RegularExpression])
  case alternatives([RegularExpression])
  case repeated(RegularExpression, minimum: Int, maximum: Int?)

  struct Failure: Error, Sendable, Hashable { let reason: String }

  init(_ pattern: String) throws(Failure) {
    var parser = RegularExpressionParser(pattern)
    self = try parser.parse()
  }

  /// The automaton of all texts in which it matches.
  func automaton() throws(Failure) -> ScalarAutomaton {
    var builder = ScalarAutomatonBuilder()
    return try builder.build(self)
  }
}

/// Thompson's construction; `^` and `$` are two symbols around the text.
private struct ScalarAutomatonBuilder {
  private var edges: [[(scalars: ScalarRanges, target: Int)]] = []
  private var epsilons: [[Int]] = []

  private static let start = ScalarRanges(0x110000)
  private static let end = ScalarRanges(0x110001)

  mutating func state() throws(RegularExpression.Failure) -> Int {
    guard edges.count < ScalarAutomaton.stateLimit else { throw .init(reason: "needs too many states") }
    edges.append([])
    epsilons.append([])
    return edges.count - 1
  }

  mutating func build(_ expression: RegularExpression) throws(RegularExpression.Failure) -> ScalarAutomaton {
    let first = try state()
    let (before, after, last) = (try state(), try state(), try state())
    // What stands in front of the match and behind it, unless an anchor says that nothing does.
    let inFront = try state()
    edges[first].append((Self.start, inFront))
    edges[inFront].append((.all, inFront))
    epsilons[inFront].append(before)
    epsilons[first].append(before)
    try add(expression, from: before, to: after)
    let behind = try state()
    epsilons[after] += [behind, last]
    edges[behind].append((.all, behind))
    edges[behind].append((Self.end, last))
    return withoutEmptySteps(first: first, last: last)
  }

  private mutating func add(
    _ expression: RegularExpression, from source: Int, to target: Int
  ) throws(RegularExpression.Failure) {
    switch expression {
    case .empty: epsilons[source].append(target)
    case .scalars(let scalars): edges[source].append((scalars, target))
    case .start: edges[source].append((Self.start, target))
    case .end: edges[source].append((Self.end, target))
    case .sequence(let parts):
      var current = source
      for part in parts {
        let next = try state()
        try add(part, from: current, to: next)
        current = next
      }
      epsilons[current].append(target)
    case .alternatives(let parts):
      for part in parts { try add(part, from: source, to: target) }
    case .repeated(let part, let minimum, let maximum):
      var current = source
      for _ in 0..<minimum {
        let next = try state()
        try add(part, from: current, to: next)
        current = next
      }
      if let maximum {
        for _ in minimum..<max(minimum, maximum) {
          epsilons[current].append(target)
          let next = try state()
          try add(part, from: current, to: next)
          current = next
        }
        epsilons[current].append(target)
      } else {
        // States of its own, so that the loop is entered only here.
        let (loop, end) = (try state(), try state())
        epsilons[current].append(loop)
        try add(part, from: loop, to: end)
        epsilons[end].append(loop)
        epsilons[loop].append(target)
      }
    }
  }

  /// States that some lead to without a character.
  ///
  /// - Parameter mark: a symbol around the text that may be met any number of times
  private func closure(_ states: [Int], over mark: ScalarRanges? = nil) -> [Int] {
    var seen = Set(states)
    var open = states
    while let next = open.popLast() {
      for target in epsilons[next] where seen.insert(target).inserted { open.append(target) }
      guard let mark else { continue }
      for edge in edges[next] where edge.scalars == mark && seen.insert(edge.target).inserted {
        open.append(edge.target)
      }
    }
    return seen.sorted()
  }

  /// What lies behind a symbol around the text, met once or more.
  private func behind(_ mark: ScalarRanges, _ states: [Int]) -> [Int] {
    closure(states.flatMap { edges[$0].filter { $0.scalars == mark }.map(\.target) }, over: mark)
  }

  private func withoutEmptySteps(first: Int, last: Int) -> ScalarAutomaton {
    var result = ScalarAutomaton()
    // The text begins behind the symbol of its start, and ends in front of that of its end.
    var places: [Int: Int] = [:]
    var open: [(state: Int, place: Int)] = []
    func expand(_ states: [Int], _ place: Int) {
      result.isAccepting[place] = behind(Self.end, states).contains(last)
      for state in states {
        for edge in edges[state] where edge.scalars != Self.start && edge.scalars != Self.end {
          guard !edge.scalars.isEmpty else { continue }
          if places[edge.target] == nil {
            let new = result.addState(isAccepting: false)
            places[edge.target] = new
            open.append((edge.target, new))
          }
          result.edges[place].append(.init(scalars: edge.scalars, target: places[edge.target] ?? 0))
        }
      }
    }
    expand(behind(Self.start, closure([first])), 0)
    while let (state, place) = open.popLast(), !result.isTooLarge { expand(closure([state]), place) }
    return result
  }
}
