/// Puts a grammar together: rules of states, edges over bytes, and calls of other rules.
///
/// A rule is a string, an array or an object; it is called by the byte that opens it and left by the one that closes it. All else
/// lies between the states of one rule. Rule 0 is the whole text.
struct GrammarBuilder {
  struct Edge {
    var source: Int32
    /// Bytes; from 256 on special tokens, 256 + id.
    var low: Int32
    var high: Int32
    var target: Int32
  }

  struct Call {
    var source: Int32
    var rule: Int32
    var target: Int32
  }

  struct Rule {
    var opens: UInt8
    var entry: Int32
  }

  /// The most states of a grammar, with as many edges again four times.
  static let stateLimit = 300_000

  private(set) var edges: [Edge] = []
  private(set) var calls: [Call] = []
  private(set) var epsilons: [(source: Int32, target: Int32)] = []
  /// The byte that closes the rule, by state; 0 where none does.
  private(set) var closes: [UInt8] = []
  private(set) var rules: [Rule] = []
  private(set) var counted: [CountedString] = []
  private var tails: [Tail: Int32] = [:]
  /// Where the schema is that is being compiled, for errors.
  var pointer = "#"

  private struct Tail: Hashable {
    let low: UInt8
    let high: UInt8
    let target: Int32
  }

  mutating func state() throws(ConstraintError) -> Int32 {
    guard closes.count < Self.stateLimit, edges.count + calls.count + epsilons.count < 4 * Self.stateLimit else {
      throw ConstraintError(pointer, nil, "needs more than \(Self.stateLimit) states; make bounds smaller")
    }
    closes.append(0)
    return Int32(closes.count - 1)
  }

  /// A rule whose states are still to be made.
  mutating func rule(opens: UInt8) throws(ConstraintError) -> Int32 {
    let entry = try state()
    rules.append(Rule(opens: opens, entry: entry))
    return Int32(rules.count - 1)
  }

  func entry(of rule: Int32) -> Int32 { rules[Int(rule)].entry }

  /// A string of any characters, with bounds on their number.
  mutating func countedString(_ minimum: Int, _ maximum: Int?) throws(ConstraintError) -> Int32 {
    let used = counted.last.map { Int($0.start) + $0.stateCount } ?? 0
    guard max(minimum, maximum ?? 0) < 10_000_000, used < 1_500_000_000 else {
      throw ConstraintError(pointer, maximum == nil ? "minLength" : "maxLength", "is too large to be kept")
    }
    let string = CountedString(
      start: Int32(used), rule: Int32(rules.count), minimum: Int32(minimum), maximum: maximum.map { Int32($0) })
    counted.append(string)
    rules.append(Rule(opens: UInt8(ascii: "\""), entry: string.state(count: 0, phase: CharacterAutomaton.between)))
    return string.rule
  }

  mutating func close(_ state: Int32, with byte: UInt8) { closes[Int(state)] = byte }

  mutating func edge(_ source: Int32, _ bytes: ClosedRange<UInt8>, _ target: Int32) {
    edges.append(Edge(source: source, low: Int32(bytes.lowerBound), high: Int32(bytes.upperBound), target: target))
  }

  mutating func edge(_ source: Int32, _ byte: UInt8, _ target: Int32) { edge(source, byte...byte, target) }

  mutating func edge(_ source: Int32, special id: Int32, _ target: Int32) {
    edges.append(Edge(source: source, low: 256 + id, high: 256 + id, target: target))
  }

  mutating func epsilon(_ source: Int32, _ target: Int32) {
    if source != target { epsilons.append((source, target)) }
  }

  mutating func call(_ source: Int32, _ rule: Int32, _ target: Int32) {
    calls.append(Call(source: source, rule: rule, target: target))
  }

  /// Fixed bytes from one state to another.
  mutating func bytes(_ bytes: some Collection<UInt8>, from source: Int32, to target: Int32) throws(ConstraintError) {
    guard !bytes.isEmpty else { return epsilon(source, target) }
    var current = source
    for (index, byte) in bytes.enumerated() {
      let next = index + 1 == bytes.count ? target : try state()
      edge(current, byte, next)
      current = next
    }
  }

  mutating func text(_ text: String, from source: Int32, to target: Int32) throws(ConstraintError) {
    try bytes(Array(text.utf8), from: source, to: target)
  }

  /// The most spaces and tabs behind a line break.
  private static let (indentation, tabs) = (24, 6)

  /// Where a writer may break a line: nothing, one space, or a line break and some indentation.
  mutating func space(from source: Int32, to target: Int32) throws(ConstraintError) {
    epsilon(source, target)
    edge(source, UInt8(ascii: " "), target)
    let line = try state()
    edge(source, UInt8(ascii: "\n"), line)
    epsilon(line, target)
    for (byte, count) in [(UInt8(ascii: " "), Self.indentation), (UInt8(ascii: "\t"), Self.tabs)] {
      var current = line
      for _ in 0..<count {
        let next = try state()
        edge(current, byte, next)
        epsilon(next, target)
        current = next
      }
    }
  }

  /// A state that is followed by `count` continuation bytes, the first of them restricted, and then `target`; shared.
  mutating func tail(
    _ low: UInt8, _ high: UInt8, more count: Int, to target: Int32
  ) throws(ConstraintError) -> Int32 {
    let target = count == 0 ? target : try tail(0x80, 0xbf, more: count - 1, to: target)
    let key = Tail(low: low, high: high, target: target)
    if let known = tails[key] { return known }
    let state = try state()
    edge(state, low...high, target)
    tails[key] = state
    return state
  }
}
