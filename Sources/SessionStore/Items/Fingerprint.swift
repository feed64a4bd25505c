/// What must agree between an item and whoever takes it up.
package struct Fingerprint: Sendable, Hashable {
  /// Weights and adapters, as a digest.
  package var model: String
  /// What tokens say, as a digest.
  package var tokenizer: String
  /// Plan, number format, heads and positions, as `KVCache.identity` has them.
  package var cache: String

  package init(model: String, tokenizer: String, cache: String) {
    (self.model, self.tokenizer, self.cache) = (model, tokenizer, cache)
  }

  /// Why an item with this fingerprint is of no use to one who has another; nil where it is.
  package func mismatch(with other: Fingerprint) -> Miss? {
    if model != other.model { return .otherModel("weights or adapters") }
    if tokenizer != other.tokenizer { return .otherModel("tokenizer") }
    return cache == other.cache ? nil : .otherModel("cache")
  }
}
