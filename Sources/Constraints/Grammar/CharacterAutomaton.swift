/// The automaton of one character inside a JSON string: valid UTF-8, any escape, surrogates in pairs only.
///
/// A string with bounds on its length is this automaton with a count of characters. Nothing is stored for the counts, so that
/// a bound of millions costs no memory.
enum CharacterAutomaton {
  /// Between two characters.
  static let between = 0
  static let phaseCount = 22
  static let dead: UInt8 = 255

  // Continuation bytes that are still to come, with the first one restricted in the last four.
  private static let (tail1, tail2, tail3, afterE0, afterED, afterF0, afterF4) = (1, 2, 3, 4, 5, 6, 7)
  private static let escape = 8
  // Hexadecimal digits that are still to come; `afterD` decides whether the unit is a surrogate.
  private static let (hex4, afterD, hex3, hex2, hex1) = (9, 10, 11, 12, 13)
  // Behind a leading surrogate: two digits of it, `\u`, `D`, `C` to `F`, two digits.
  private static let (lead2, lead1, pairEscape, pairU, pairD, pairC) = (14, 15, 16, 17, 18, 19)
  private static let (pair2, pair1) = (20, 21)

  /// [phase, byte]: the next phase, or `dead`. A character is complete where it comes back to `between`.
  static let next: [UInt8] = {
    var table = [UInt8](repeating: dead, count: phaseCount * 256)
    func add(_ phase: Int, _ bytes: ClosedRange<UInt8>, _ target: Int) {
      for byte in bytes { table[phase * 256 + Int(byte)] = UInt8(target) }
    }
    func add(_ phase: Int, _ text: String, _ target: Int) {
      for byte in text.utf8 { add(phase, byte...byte, target) }
    }
    let hexadecimal = "0123456789abcdefABCDEF"
    add(between, 0x20...0x7f, between)
    add(between, 0x5c...0x5c, escape)
    table[between * 256 + 0x22] = dead
    for (lead, target) in [
      (UInt8(0xc2)...0xdf, tail1), (0xe0...0xe0, afterE0), (0xe1...0xec, tail2), (0xed...0xed, afterED),
      (0xee...0xef, tail2), (0xf0...0xf0, afterF0), (0xf1...0xf3, tail3), (0xf4...0xf4, afterF4),
    ] {
      add(between, lead, target)
    }
    add(tail1, 0x80...0xbf, between)
    add(tail2, 0x80...0xbf, tail1)
    add(tail3, 0x80...0xbf, tail2)
    add(afterE0, 0xa0...0xbf, tail1)
    add(afterED, 0x80...0x9f, tail1)
    add(afterF0, 0x90...0xbf, tail2)
    add(afterF4, 0x80...0x8f, tail2)
    add(escape, "\"\\/bfnrt", between)
    add(escape, "u", hex4)
    add(hex4, hexadecimal, hex3)
    add(hex4, "dD", afterD)
    add(afterD, "01234567", hex2)
    add(afterD, "89abAB", lead2)
    add(hex3, hexadecimal, hex2)
    add(hex2, hexadecimal, hex1)
    add(hex1, hexadecimal, between)
    add(lead2, hexadecimal, lead1)
    add(lead1, hexadecimal, pairEscape)
    add(pairEscape, "\\", pairU)
    add(pairU, "u", pairD)
    add(pairD, "dD", pairC)
    add(pairC, "cdefCDEF", pair2)
    add(pair2, hexadecimal, pair1)
    add(pair1, hexadecimal, between)
    return table
  }()
}

/// A string rule whose states are counted, not stored: characters so far, and the phase in the next one.
///
/// Its states are the negative numbers from −1 − `start` down.
struct CountedString: Sendable, Hashable {
  let start: Int32
  let rule: Int32
  let minimum: Int32
  /// Nil where there is no bound; the count then rests at `minimum`.
  let maximum: Int32?

  var counts: Int32 { (maximum ?? minimum) + 1 }
  var stateCount: Int { Int(counts) * CharacterAutomaton.phaseCount }

  func state(count: Int32, phase: Int) -> Int32 {
    -1 - (start + count * Int32(CharacterAutomaton.phaseCount) + Int32(phase))
  }

  func parts(of state: Int32) -> (count: Int32, phase: Int) {
    let offset = -1 - state - start
    let phases = Int32(CharacterAutomaton.phaseCount)
    return (offset / phases, Int(offset % phases))
  }

  /// The state after a byte; nil where there is none.
  func next(_ state: Int32, _ byte: UInt8) -> Int32? {
    let (count, phase) = parts(of: state)
    let next = CharacterAutomaton.next[phase * 256 + Int(byte)]
    guard next != CharacterAutomaton.dead else { return nil }
    if let maximum, count == maximum { return nil }
    guard next == CharacterAutomaton.between else { return self.state(count: count, phase: Int(next)) }
    return self.state(count: maximum == nil ? min(count + 1, minimum) : count + 1, phase: Int(next))
  }

  func canClose(_ state: Int32) -> Bool {
    let (count, phase) = parts(of: state)
    return phase == CharacterAutomaton.between && count >= minimum
  }

  /// A state from which the same texts of up to `length` characters are possible.
  func representative(of state: Int32, length: Int32) -> Int32 {
    let (count, phase) = parts(of: state)
    let isFarFromEnd = maximum.map { $0 - count > length } ?? true
    guard isFarFromEnd else { return state }
    if count >= minimum { return self.state(count: minimum, phase: phase) }
    return minimum - count > length ? self.state(count: 0, phase: phase) : state
  }
}
