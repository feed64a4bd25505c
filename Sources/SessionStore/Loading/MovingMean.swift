/// A mean in which a new value counts a quarter, and all older ones the rest.
package struct MovingMean: Sendable, Hashable {
  package private(set) var value: Double?
  private static let weight = 0.25

  package init() {}

  package mutating func note(_ new: Double) {
    guard new.isFinite, new >= 0 else { return }
    value = value.map { $0 + Self.weight * (new - $0) } ?? new
  }

  /// Believes less of what was measured long ago.
  mutating func shrink(by factor: Double) { value = value.map { $0 * factor } }
}
