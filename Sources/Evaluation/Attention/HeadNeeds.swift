/// How much of its attention each KV head loses under a cache: a table of the kind that `duo-attention` reads.
///
/// DuoAttention (arXiv 2410.10819) trains a gate for every head; this is what can be had without training, the share of the
/// full cache's probabilities that falls on tokens which the cache let go, the mean over the positions measured.
package struct HeadNeeds: Sendable, Hashable {
  /// `[layer][KV head]`
  package let lost: [[Double]]

  /// - Precondition: there is a measurement, and all are of one model.
  package init(_ measurements: [AttentionMeasurement]) {
    precondition(!measurements.isEmpty, "nothing was measured")
    lost = measurements[0].layers.indices.map { layer in
      measurements[0].layers[layer].masses.indices.map { head in
        measurements.reduce(0) { $0 + 1 - $1.layers[layer].masses[head] } / Double(measurements.count)
      }
    }
  }

  /// A line a layer, a number a KV head, with tabs between.
  package var text: String {
    lost.map { $0.map { "\(($0 * 1e6).rounded() / 1e6)" }.joined(separator: "\t") + "\n" }.joined()
  }
}
