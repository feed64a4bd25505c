package import ModelJSON

/// What a cache holds at a position of a text, and what its attention is worth there beside that of a full cache.
package struct AttentionMeasurement: Sendable, Hashable {
  /// One layer.
  package struct Layer: Sendable, Hashable {
    /// The tokens that the query of the last token could read, itself included, by their places in the stream, ascending;
    /// `[KV head][token]`.
    package var held: [[Int]]
    /// |output − output of the full cache| / |output of the full cache|, the mean over the last tokens.
    package var error: Double
    /// The same of every query head alone, `[query head]`.
    package var headErrors: [Double]
    /// The share of the full cache's probabilities that fell on the tokens held: of the last query, the mean over the
    /// heads of the group; `[KV head]`.
    package var masses: [Double]

    package var mass: Double { masses.reduce(0, +) / Double(masses.count) }

    package init(held: [[Int]], error: Double, headErrors: [Double], masses: [Double]) {
      self.held = held
      self.error = error
      self.headErrors = headErrors
      self.masses = masses
    }
  }

  package var cache: String
  /// Tokens read.
  package var position: Int
  /// The tokens over which errors are averaged.
  package var last: Int
  package var layers: [Layer]

  package init(cache: String, position: Int, last: Int, layers: [Layer]) {
    self.cache = cache
    self.position = position
    self.last = last
    self.layers = layers
  }

  /// The mean over the layers.
  package var error: Double { layers.reduce(0) { $0 + $1.error } / Double(layers.count) }
  /// The mean over the layers.
  package var mass: Double { layers.reduce(0) { $0 + $1.mass } / Double(layers.count) }

  /// Whether the model gave numbers everywhere.
  package var isFinite: Bool { error.isFinite && mass.isFinite }

  /// One object; `held` gives runs of tokens, first and last, for each KV head.
  package var json: JSONValue {
    [
      "cache": JSONValue(cache), "position": JSONValue(position), "last": JSONValue(last), "error": JSONValue(error),
      "mass": JSONValue(mass),
      "layers": .array(
        layers.map { layer in
          [
            "error": JSONValue(layer.error), "mass": JSONValue(layer.mass),
            "headErrors": .array(layer.headErrors.map { JSONValue($0) }),
            "masses": .array(layer.masses.map { JSONValue($0) }),
            "held": .array(
              layer.held.map { tokens in
                .array(Self.runs(tokens).map { [JSONValue($0.lowerBound), JSONValue($0.upperBound)] })
              }),
          ]
        }),
    ]
  }

  /// Ascending numbers as runs of consecutive ones.
  static func runs(_ tokens: [Int]) -> [ClosedRange<Int>] {
    var runs: [ClosedRange<Int>] = []
    for token in tokens {
      if let last = runs.last, last.upperBound + 1 == token {
        runs[runs.count - 1] = last.lowerBound...token
      } else {
        runs.append(token...token)
      }
    }
    return runs
  }
}
