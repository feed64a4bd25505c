/// The right to write an item, which one process has at a time.
///
/// A tier gives it out by its own clock, and compares its number where it applies a write: whoever stood still until another
/// took over is refused, whatever it believes (a fencing token, as in C. Gray and D. Cheriton's leases, SOSP 1989, and
/// M. Burrows' sequencers, OSDI 2006).
package struct Lease: Sendable, Hashable {
  package let key: ItemKey
  /// Higher than that of any lease of the item before.
  package let token: Int64
  /// Who has it, for people.
  package let owner: String

  package init(key: ItemKey, token: Int64, owner: String) { (self.key, self.token, self.owner) = (key, token, owner) }

  /// The number of a new lease: the tier's time, so that it rises even where the tier forgot the one before.
  static func token(after last: Int64, at milliseconds: Int64) -> Int64 { max(last + 1, milliseconds) }

  /// How long a tier remembers the newest number of an item that nobody has a lease of.
  package static let memory: Int64 = 7 * 86_400_000
}

/// What a tier says to whoever wants the lease of an item.
package enum LeaseAnswer: Sendable, Hashable {
  case granted(Lease)
  /// Somebody else has it, for so long unless it is renewed.
  case held(milliseconds: Int64)
}
