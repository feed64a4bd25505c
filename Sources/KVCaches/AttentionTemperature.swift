import CLibrary

/// Logits that grow with the place of their query, so that attention stays as sharp over more tokens (Llama 4's
/// inference-time temperature, Ministral 3; Nakanishi, arXiv 2501.19399).
///
/// The place is the one that the query has in the cache, as its rotation has: a bounded memory stays at the factor of the
/// length that it shows, however long the stream is. Keys are stored without it.
package struct AttentionTemperature: Sendable, Hashable {
  /// β in 1 + β ln(1 + ⌊position / length⌋).
  package var growth: Double
  /// Positions below which the factor is 1.
  package var length: Int

  /// - Precondition: the length is positive, and the growth finite and not negative.
  package init(growth: Double, length: Int) {
    precondition(growth.isFinite && growth >= 0 && length > 0, "logits that grow")
    (self.growth, self.length) = (growth, length)
  }

  /// What the logits of the query at a position, counted from 0, are multiplied by.
  package func factor(at position: Int64) -> Float {
    Float(1 + growth * log(1 + Double(position / Int64(length))))
  }
}
