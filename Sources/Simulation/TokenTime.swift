/// The time between tokens where attention is elsewhere, by the formulas of Lamina (arXiv 2405.01814, sections 2 and 4).
///
/// A layer of a batch takes a slice of the model, which hands over its numbers, then its attention, then what the network adds. With one batch these follow
/// each other; of n batches with one replica of the model each side serves one at a time, so the slowest of n slices, n attentions
/// and one batch's own way sets the pace.
package struct TokenTime: Sendable {
  package var layers: Int
  package var batches: Int
  /// Seconds of all layers of one batch: all but attention, and attention.
  package var model: Double
  package var attention: Double
  /// Seconds in which the model worker packs one batch's numbers and hands them to the system, beyond what is in round trips.
  package var handling: Double
  /// Seconds of a question and its answer without contents.
  package var roundTrip: Double
  /// Bytes of one batch in all layers, both ways.
  package var bytes: Double
  /// Bytes a second; nil where nothing holds them up.
  package var rate: Double?

  package init(
    layers: Int, batches: Int, model: Double, attention: Double, handling: Double = 0, roundTrip: Double, bytes: Double,
    rate: Double?
  ) {
    precondition(layers > 0 && batches > 0)
    (self.layers, self.batches, self.model, self.attention) = (layers, batches, model, attention)
    self.handling = handling
    (self.roundTrip, self.bytes, self.rate) = (roundTrip, bytes, rate)
  }

  /// What the network adds to a token of one batch.
  package var network: Double { Double(layers) * roundTrip + (rate.map { bytes / $0 } ?? 0) }

  /// By how much the network lengthens a token of one batch, in parts of it.
  package var alpha: Double { network / (model + attention) }

  package var seconds: Double {
    let alone = model + handling + attention + network
    return batches == 1 ? alone : max(Double(batches) * max(model + handling, attention), alone)
  }
}
