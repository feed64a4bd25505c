/// A seeded random source of one word of state, the same numbers everywhere: SplitMix64 (Steele, Lea, Flood, "Fast
/// Splittable Pseudorandom Number Generators", OOPSLA 2014).
package struct SplitMix64: RandomNumberGenerator, Sendable {
  /// What one number is made from, and what it takes to go on from here.
  package private(set) var state: UInt64

  /// The distance of states, 2⁶⁴ over the golden ratio: consecutive multiples of it are spread as evenly as can be.
  package static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

  /// - Parameter seed: the state; that of another source goes on from there.
  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= Self.increment
    return Self.mixed(state)
  }

  /// A word whose every bit depends on every bit of the given one, and no two words give the same.
  package static func mixed(_ word: UInt64) -> UInt64 {
    var mixed = word
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
