/// A figure of tokens that the heads of a model hold, with what that is worth beside it; drawn by `svg()`.
///
/// Panels stand below each other. In each, a row is a KV head, layer after layer, and a mark stands where the head holds a
/// token of the text; to the right, a bar a head tells a share from 0 to 1, and a bar a layer a value that is not negative.
package struct TokenMap: Sendable {
  /// One cache at one position.
  package struct Panel: Sendable {
    package var title: String
    /// Tokens of the text.
    package var tokens: Int
    package var layers: [Layer]

    package init(_ title: String, tokens: Int, layers: [Layer]) {
      self.title = title
      self.tokens = tokens
      self.layers = layers
    }
  }

  package struct Layer: Sendable {
    /// Ascending numbers of tokens, `[KV head][token]`.
    package var held: [[Int]]
    /// From 0 to 1, `[KV head]`.
    package var shares: [Double]
    package var value: Double

    package init(held: [[Int]], shares: [Double], value: Double) {
      self.held = held
      self.shares = shares
      self.value = value
    }
  }

  package var title: String
  /// One quieter line below the title.
  package var subtitle: String
  /// What a head's share and a layer's value are called; their means are written beside it.
  package var shareTitle: String
  package var valueTitle: String
  package var panels: [Panel]

  /// - Precondition: every layer has a share for each head, and heads hold tokens of the text.
  package init(title: String, subtitle: String = "", shareTitle: String, valueTitle: String, panels: [Panel]) {
    precondition(
      panels.allSatisfy { panel in
        panel.layers.allSatisfy { layer in
          layer.shares.count == layer.held.count
            && layer.held.allSatisfy { ($0.first ?? 0) >= 0 && ($0.last ?? 0) < max(panel.tokens, 1) }
        }
      }, "a panel needs a share for every head and a place for every token")
    self.title = title
    self.subtitle = subtitle
    self.shareTitle = shareTitle
    self.valueTitle = valueTitle
    self.panels = panels
  }

  /// The figure as the text of an SVG file: the same bytes for the same figure on every machine.
  package func svg() -> String { SVGTokenMap(self).text }
}

extension TokenMap {
  /// The figure of measurements, a panel for each.
  package init(_ measurements: [AttentionMeasurement], title: String) {
    let last = Set(measurements.map(\.last)).sorted().map { "\($0)" }.joined(separator: " or ")
    self.init(
      title: title, subtitle: "tokens that each KV head holds; beside a full cache, errors of the last \(last) tokens",
      shareTitle: "retained mass", valueTitle: "error",
      panels: measurements.map { measurement in
        Panel(
          "\(measurement.cache), \(measurement.position) tokens read", tokens: measurement.position,
          layers: measurement.layers.map { Layer(held: $0.held, shares: $0.masses, value: $0.error) })
      })
  }
}
