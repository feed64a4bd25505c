package import ModelJSON

/// How the experiments with sketches are written and drawn.
extension SketchExperiment.Degree {
  package var json: JSONValue {
    [
      "experiment": "degree", "bound": JSONValue(bound), "degree": JSONValue(degree), "taylor": JSONValue(taylor),
      "chebyshev": JSONValue(chebyshev), "minimax": JSONValue(minimax), "outputError": JSONValue(outputError),
      "outputBound": JSONValue(outputBound),
    ]
  }
}

extension SketchExperiment.Recovery {
  package var json: JSONValue {
    [
      "experiment": "recovery", "instance": JSONValue(instance), "tokens": JSONValue(tokens), "kept": JSONValue(kept),
      "rows": JSONValue(rows), "buckets": JSONValue(buckets), "projection": projection.map { JSONValue($0) } ?? .null,
      "length": JSONValue(length), "error": JSONValue(error), "best": JSONValue(best),
      "projectionError": JSONValue(projectionError), "storedNumbers": JSONValue(storedNumbers),
    ]
  }
}

extension SketchExperiment {
  /// Errors by degree, a line for each bound: straight lines where the axis is logarithmic.
  package static func plot(_ rows: [Degree]) -> Plot {
    let bounds = Set(rows.map(\.bound)).sorted()
    func lines(_ error: (Degree) -> Double) -> [Plot.Line] {
      bounds.map { bound in
        Plot.Line(
          "|logit| up to \(Int(bound))",
          rows.filter { $0.bound == bound }.map { Plot.Point(Double($0.degree), error($0)) })
      }
    }
    func panel(_ title: String, _ error: (Degree) -> Double) -> Plot.Panel {
      Plot.Panel(axis: Plot.Axis(title, scale: .logarithmic), lines: lines(error), height: 170)
    }
    return Plot(
      title: "Polynomials in place of the exponential",
      subtitle: "Near-minimax relative error; attention of random queries to random keys in 4 dimensions",
      xAxis: Plot.Axis("degree"),
      panels: [
        panel("largest relative error of the polynomial", \.minimax),
        panel("largest error of an output, values of standard deviation 1", \.outputError),
      ])
  }

  /// Errors by the rows of the projection, those before and after recovery.
  package static func plot(_ rows: [Recovery]) -> Plot {
    func panel(_ instance: String) -> Plot.Panel {
      let projected = rows.filter { $0.instance == instance && $0.projection != nil }
      func line(_ label: String, _ error: (Recovery) -> Double) -> Plot.Line {
        Plot.Line(label, projected.map { Plot.Point(Double($0.projection ?? 0), error($0)) })
      }
      return Plot.Panel(
        axis: Plot.Axis("\(instance) column: distance from the truth", scale: .logarithmic),
        lines: [
          line("after recovery", \.error), line("by the projection alone", \.projectionError),
          line("best with as many entries", \.best),
        ], height: 170)
    }
    let tokens = rows.first?.tokens ?? 0
    return Plot(
      title: "What a projection of keys and values costs",
      subtitle:
        "One value entry of \(tokens) tokens, root mean squares over \(projectionSeeds.count) random projections",
      xAxis: Plot.Axis("rows of the projection", scale: .logarithmic, unit: .count),
      panels: [panel("sparse"), panel("dense")])
  }
}
