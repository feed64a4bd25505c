/// What whoever takes an item up knows of the work, and wants to know of the item.
package struct LoadTerms: Sendable {
  /// What computing takes.
  package struct Computing: Sendable {
    /// Seconds of a layer in the step that begins; nil where it is not known, and all layers are waited for.
    package var layerSeconds: Double?
    /// Seconds of computing again what the item holds; nil where it is not known, or nothing else serves.
    package var againSeconds: Double?

    package init(layerSeconds: Double? = nil, againSeconds: Double? = nil) {
      (self.layerSeconds, self.againSeconds) = (layerSeconds, againSeconds)
    }
  }

  /// Whether there is a deadline.
  package var hasDeadline = true
  /// Layers that have to be there before it can begin, in place of what the rule says: for measurements.
  package var lead: Int?
  /// Called with the item as soon as it is found, and with why it is of no use where it is not; reads its records.
  package var examine: @Sendable (FoundItem, Miss?) throws(Miss) -> Void = { _, _ in }
  /// How many of the item's tokens are wanted, as far as a cache that can be cut is concerned; asked once it was examined.
  package var wanted: @Sendable (FoundItem) -> Int = { Int($0.manifest.tokens) }
  /// What computing takes with so many tokens in the item.
  package var computing: @Sendable (_ tokens: Int64) -> Computing = { _ in Computing() }
  /// Called whenever it may be possible to begin, or has come to an end; on the reader's thread.
  package var notify: @Sendable () -> Void = {}

  package init() {}

  /// The share of the time of computing again that a load may take.
  static let worthwhile = 0.8

  /// Seconds for which an item of so many tokens is waited for at most: SGLang's, for want of a paper's.
  static func limit(tokens: Int64) -> Double { min(30, 2 + 0.1 * Double(tokens) / 1024) }
}
