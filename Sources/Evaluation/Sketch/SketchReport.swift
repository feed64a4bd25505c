package import ModelJSON

/// How the experiments with sketches are written.
extension PolynomialDegrees.Row {
  package var json: JSONValue {
    [
      "experiment": "degree", "bound": JSONValue(bound), "degree": JSONValue(degree), "taylor": JSONValue(taylor),
      "chebyshev": JSONValue(chebyshev), "minimax": JSONValue(minimax), "outputError": JSONValue(outputError),
      "outputBound": JSONValue(outputBound),
    ]
  }
}

extension SketchSizes.Row {
  package var json: JSONValue {
    func number(_ value: Int?) -> JSONValue { value.map { JSONValue($0) } ?? .null }
    return [
      "experiment": "size", "dim": JSONValue(dim), "bound": JSONValue(bound), "degree": JSONValue(degree),
      "features": number(features), "storedNumbers": number(storedNumbers), "leastTokens": number(leastTokens),
    ]
  }
}

extension SketchGrowth.Row {
  package var json: JSONValue {
    [
      "experiment": "growth", "stream": JSONValue(stream.rawValue),
      "projection": projection.map { JSONValue($0) } ?? .null, "tokens": JSONValue(tokens),
      "dim": JSONValue(size.dim), "bound": JSONValue(size.bound), "degree": JSONValue(size.polynomial.degree),
      "features": JSONValue(size.features), "kept": JSONValue(size.kept), "rows": JSONValue(size.rows),
      "buckets": JSONValue(size.buckets), "storedNumbers": JSONValue(storedNumbers),
      "rawNumbers": JSONValue(rawNumbers), "length": JSONValue(mean.length), "best": JSONValue(mean.best),
      "errorBefore": JSONValue(mean.errorBefore), "boundBefore": JSONValue(mean.boundBefore),
      "errorAfter": JSONValue(mean.errorAfter), "boundAfter": JSONValue(mean.bound),
    ]
  }
}

extension SketchGrowth.Exponent {
  package var json: JSONValue {
    [
      "experiment": "exponent", "stream": JSONValue(stream.rawValue),
      "projection": projection.map { JSONValue($0) } ?? .null, "errorBefore": JSONValue(errorBefore),
      "errorAfter": JSONValue(errorAfter), "best": JSONValue(best),
    ]
  }
}
