/// Sets of a grammar's states, made as texts lead to them, each known by a number; what follows from a set and a byte is kept.
///
/// All states of a set stand in rules of the same depth, since arrays, objects and strings are opened and closed by bytes that say so.
/// So a set and the sets in which its rules were opened are all there is to know of a text: a deterministic automaton with a
/// stack. Bounded: beyond `setLimit` sets nothing more is made and `isFull` says so; followed bytes are dropped from time to time.
struct StateSets {
  enum Step: Equatable {
    case dead
    case inside(Int32)
    /// A rule is opened.
    case opens(Int32)
    /// The rules of a completion are closed.
    case closes(Int32)

    fileprivate init(encoded: Int32) {
      switch encoded & 3 {
      case 0: self = .inside(encoded >> 2)
      case 1: self = .opens(encoded >> 2)
      case 2: self = .closes(encoded >> 2)
      default: self = .dead
      }
    }
  }

  let grammar: Grammar
  /// Whether something could not be followed for want of room.
  private(set) var isFull = false
  private var elements: [Int32] = []
  private var offsets: [Int] = [0]
  private var numbers: [[Int32]: Int32] = [:]
  private var completions: [[Int32]] = []
  private var completionNumbers: [[Int32]: Int32] = [:]
  private var combinations: [UInt64: Int32] = [:]
  /// 256 steps for each set that was followed; −1 where none were.
  private var rows: [Int32] = []
  private var rowPlaces: [Int32] = []
  private var representatives: [Int32] = []
  private var seen: [UInt32]
  private var stamp: UInt32 = 0

  static let setLimit = 250_000
  private static let (elementLimit, rowLimit, combinationLimit) = (8_000_000, 8192, 1_000_000)
  private static let dead: Int32 = -1
  static let none: Int32 = -1

  init(_ grammar: Grammar) {
    self.grammar = grammar
    seen = [UInt32](repeating: 0, count: grammar.closes.count)
  }

  /// Bytes of what was made, about.
  var bytes: Int { 8 * elements.count + 4 * rows.count + 120 * offsets.count + 40 * combinations.count }

  /// The set in which a text begins.
  mutating func start() -> Int32 { number(ofClosed: [grammar.start]) }

  func states(of set: Int32) -> ArraySlice<Int32> { elements[offsets[Int(set)]..<offsets[Int(set) + 1]] }

  func isAccepting(_ set: Int32) -> Bool { states(of: set).contains(grammar.accepting) }

  /// The number of the set that these states lead to without a byte; `none` for the empty one.
  private mutating func number(ofClosed states: [Int32]) -> Int32 {
    stamp &+= 1
    var closed: [Int32] = []
    var open = states
    while let state = open.popLast() {
      guard state >= 0 else {
        closed.append(state)
        continue
      }
      guard seen[Int(state)] != stamp else { continue }
      seen[Int(state)] = stamp
      if grammar.isSignificant(state) { closed.append(state) }
      open.append(contentsOf: grammar.epsilons(of: state))
    }
    closed.sort()
    return number(of: closed)
  }

  private mutating func number(of states: [Int32]) -> Int32 {
    guard !states.isEmpty else { return Self.none }
    if let known = numbers[states] { return known }
    guard offsets.count <= Self.setLimit, elements.count + states.count <= Self.elementLimit else {
      isFull = true
      return Self.none
    }
    // Counted states may come twice.
    var last: Int32?
    for state in states where state != last {
      elements.append(state)
      last = state
    }
    let number = Int32(offsets.count - 1)
    offsets.append(elements.count)
    rowPlaces.append(-1)
    representatives.append(Self.none)
    numbers[states] = number
    return number
  }

  /// What a byte leads to.
  mutating func step(_ set: Int32, _ byte: UInt8) -> Step {
    if rowPlaces[Int(set)] < 0 { makeRow(set) }
    return Step(encoded: rows[Int(rowPlaces[Int(set)]) + Int(byte)])
  }

  private mutating func makeRow(_ set: Int32) {
    if rows.count >= 256 * Self.rowLimit {
      rows.removeAll(keepingCapacity: true)
      for index in rowPlaces.indices { rowPlaces[index] = -1 }
    }
    let place = rows.count
    rows.append(contentsOf: repeatElement(Self.dead, count: 256))
    let states = Array(states(of: set))
    for range in byteRanges(states) {
      let step = encodedStep(states, range.lowerBound)
      for byte in range { rows[place + Int(byte)] = step }
    }
    rowPlaces[Int(set)] = Int32(place)
  }

  /// Ranges of bytes that these states do not tell apart.
  private func byteRanges(_ states: [Int32]) -> [ClosedRange<UInt8>] {
    var isFirst = [Bool](repeating: false, count: 257)
    isFirst[0] = true
    func note(_ low: Int32, _ high: Int32) {
      guard low < 256 else { return }
      isFirst[Int(low)] = true
      isFirst[Int(min(high, 255)) + 1] = true
    }
    for state in states {
      if state < 0 {
        let phase = grammar.countedString(of: state).parts(of: state).phase * 256
        for byte in 1..<256 where CharacterAutomaton.next[phase + byte] != CharacterAutomaton.next[phase + byte - 1] {
          isFirst[byte] = true
        }
        note(0x22, 0x22)
        continue
      }
      for edge in grammar.edges(of: state) { note(edge.low, edge.high) }
      for call in grammar.calls(of: state) {
        let opens = Int32(grammar.rules[Int(call.rule)].opens)
        note(opens, opens)
      }
      let closes = Int32(grammar.closes[Int(state)])
      if closes != 0 { note(closes, closes) }
    }
    var ranges: [ClosedRange<UInt8>] = []
    var first = 0
    for byte in 1...256 where isFirst[byte] || byte == 256 {
      ranges.append(UInt8(first)...UInt8(byte - 1))
      first = byte
    }
    return ranges
  }

  /// Where states of one set disagree whether a byte opens or closes something, as fixed text beside a document may, only those
  /// that open are followed, else those that close.
  private mutating func encodedStep(_ states: [Int32], _ byte: UInt8) -> Int32 {
    var (inside, opened, closed): ([Int32], [Int32], [Int32]) = ([], [], [])
    for state in states {
      if state < 0 {
        let string = grammar.countedString(of: state)
        if byte == UInt8(ascii: "\"") {
          if string.canClose(state) { closed.append(string.rule) }
        }
        if let next = string.next(state, byte) { inside.append(next) }
        continue
      }
      for edge in grammar.edges(of: state) where edge.low <= byte && byte <= edge.high { inside.append(edge.target) }
      for call in grammar.calls(of: state) where grammar.rules[Int(call.rule)].opens == byte {
        opened.append(grammar.rules[Int(call.rule)].entry)
      }
      if grammar.closes[Int(state)] == byte, byte != 0 { closed.append(grammar.ruleOfClosing[Int(state)]) }
    }
    if !opened.isEmpty { return encoded(number(ofClosed: opened), 1) }
    if !closed.isEmpty { return encoded(completion(closed), 2) }
    return encoded(number(ofClosed: inside), 0)
  }

  private func encoded(_ number: Int32, _ kind: Int32) -> Int32 { number < 0 ? Self.dead : number << 2 | kind }

  private mutating func completion(_ rules: [Int32]) -> Int32 {
    let rules = Array(Set(rules)).sorted()
    if let known = completionNumbers[rules] { return known }
    completions.append(rules)
    completionNumbers[rules] = Int32(completions.count - 1)
    return Int32(completions.count - 1)
  }

  /// The set behind rules that were called in `outer` and have been closed; `none` where there is none.
  mutating func resume(_ outer: Int32, after completion: Int32) -> Int32 {
    let key = UInt64(UInt32(bitPattern: outer)) << 32 | UInt64(UInt32(bitPattern: completion))
    if let known = combinations[key] { return known }
    let closed = completions[Int(completion)]
    var targets: [Int32] = []
    for state in states(of: outer) where state >= 0 {
      for call in grammar.calls(of: state) where closed.contains(call.rule) { targets.append(call.target) }
    }
    let result = number(ofClosed: targets)
    if combinations.count >= Self.combinationLimit { combinations.removeAll() }
    combinations[key] = result
    return result
  }

  /// The set behind a special token; `none` where it is not allowed.
  mutating func step(_ set: Int32, special id: Int32) -> Int32 {
    guard grammar.hasSpecials else { return Self.none }
    var targets: [Int32] = []
    for state in states(of: set) where state >= 0 {
      for edge in grammar.edges(of: state) where edge.low == 256 + id { targets.append(edge.target) }
    }
    return number(ofClosed: targets)
  }

  /// Special tokens that may follow.
  func specials(of set: Int32) -> [Int32] {
    guard grammar.hasSpecials else { return [] }
    return states(of: set).filter { $0 >= 0 }.flatMap { state in
      grammar.edges(of: state).filter { $0.low > 255 }.map { $0.low - 256 }
    }
  }

  /// A set from which the same texts of up to `length` bytes are possible; strings that are far from their bounds share one.
  mutating func representative(of set: Int32, length: Int) -> Int32 {
    if representatives[Int(set)] != Self.none { return representatives[Int(set)] }
    var result = set
    if states(of: set).contains(where: { $0 < 0 }) {
      let states = states(of: set).map { state in
        state < 0
          ? grammar.countedString(of: state).representative(of: state, length: Int32(clamping: length)) : state
      }
      result = number(of: Array(Set(states)).sorted())
    }
    representatives[Int(set)] = result
    return result
  }

  /// The part of a set whose rules can still be closed within `levels` more levels.
  mutating func limited(_ set: Int32, toHeight levels: Int32) -> Int32 {
    number(of: states(of: set).filter { grammar.height(of: $0) <= levels })
  }
}
