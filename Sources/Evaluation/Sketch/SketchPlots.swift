/// How the experiments with sketches are drawn.
extension PolynomialDegrees {
  /// Errors by degree, a line for each bound: straight lines where the axis is logarithmic.
  package static func plot(_ rows: [Row]) -> Plot {
    let bounds = Set(rows.map(\.bound)).sorted()
    func lines(_ error: (Row) -> Double) -> [Plot.Line] {
      bounds.map { bound in
        Plot.Line(
          "|logit| up to \(Int(bound))",
          rows.filter { $0.bound == bound }.map { Plot.Point(Double($0.degree), error($0)) })
      }
    }
    func panel(_ title: String, _ error: (Row) -> Double) -> Plot.Panel {
      Plot.Panel(axis: Plot.Axis(title, scale: .logarithmic), lines: lines(error), height: 170)
    }
    return Plot(
      title: "Polynomials in place of the exponential",
      subtitle: "Near-minimax relative error; attention of random queries to random keys in 4 dimensions",
      xAxis: Plot.Axis("degree"),
      panels: [
        panel("largest relative error of the polynomial", \.minimax),
        panel("largest error of an output, values up to 1.5", \.outputError),
      ])
  }
}

extension SketchSizes {
  /// Numbers by the size of logits, a line for each dimension.
  package static func plot(_ rows: [Row]) -> Plot {
    let lines = Set(rows.map(\.dim)).sorted().map { dim in
      Plot.Line(
        "\(dim) dimensions",
        rows.filter { $0.dim == dim }.map { Plot.Point($0.bound, Double($0.leastTokens ?? 0)) })
    }
    return Plot(
      title: "From how many tokens on the sketch is smaller than what it sketches",
      subtitle: "\(kept) entries recovered, relative error of weights at most 1 / 1,000,000, values as wide as keys",
      xAxis: Plot.Axis("largest |logit|", scale: .logarithmic),
      panels: [Plot.Panel(axis: Plot.Axis("tokens", scale: .logarithmic, unit: .count), lines: lines, height: 240)])
  }
}

extension SketchGrowth {
  /// Memory and errors over the tokens.
  package static func plot(_ rows: [Row]) -> Plot {
    var kinds: [(label: String, rows: [Row])] = []
    for row in rows {
      let label = label(row)
      if let index = kinds.firstIndex(where: { $0.label == label }) {
        kinds[index].rows.append(row)
      } else {
        kinds.append((label, [row]))
      }
    }
    func lines(_ value: (Row) -> Double) -> [Plot.Line] {
      kinds.map { kind in Plot.Line(kind.label, kind.rows.map { Plot.Point(Double($0.tokens), value($0)) }) }
    }
    let size = rows.first?.size
    return Plot(
      title: "A sketch of fixed size beside streams that grow",
      subtitle: "\(size?.dim ?? 0) dimensions, \(size?.features ?? 0) features, \(size?.rows ?? 0) rows of "
        + "\(size?.buckets ?? 0) buckets, \(size?.kept ?? 0) entries of a column recovered",
      xAxis: Plot.Axis("tokens", scale: .logarithmic, unit: .count),
      panels: [
        Plot.Panel(
          axis: Plot.Axis("numbers stored / numbers of Q, K and V", scale: .logarithmic),
          lines: lines(\.storedShare), height: 150),
        Plot.Panel(
          axis: Plot.Axis("error after recovery / length of the column (1: zeros)", scale: .logarithmic),
          lines: lines { $0.mean.errorAfter / $0.mean.length } + bounds(rows), height: 240),
      ])
  }

  private static func bounds(_ rows: [Row]) -> [Plot.Line] {
    let own = rows.filter { $0.stream == .even && $0.projection == nil }
    return [
      Plot.Line(
        "bound, hot queries, even keys", own.map { Plot.Point(Double($0.tokens), $0.mean.bound / $0.mean.length) })
    ]
  }

  private static func label(_ row: Row) -> String {
    switch row.stream {
    case .even: "hot queries, even keys" + (row.projection.map { ", projected to \($0) rows" } ?? "")
    case .independent: "hot queries, independent keys"
    case .dense: "all queries hot"
    }
  }
}
