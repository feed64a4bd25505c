/// Errors as curves: over the tokens read where there are several positions, else over the bytes of the caches.
package enum ErrorCurves {
  /// Smaller errors are rounding: where nothing was let go yet there is no point of the curve.
  private static let rounding = 1e-5

  /// - Parameter measurements: of each cache at each position, in the order of the caches.
  package static func plot(_ measurements: [ErrorMeasurement], title: String, subtitle: String) -> Plot {
    let positions = Set(measurements.map(\.attention.position))
    let overBytes = positions.count < 2
    var lines: [Plot.Line] = []
    var names: [String] = []
    for measurement in measurements {
      let name = overBytes ? family(measurement.attention.cache) : measurement.attention.cache
      if !names.contains(name) { names.append(name) }
    }
    for name in names {
      let own = measurements.filter { (overBytes ? family($0.attention.cache) : $0.attention.cache) == name }
      let points = own.map {
        Plot.Point(
          Double(overBytes ? $0.bytes : $0.attention.position), $0.attention.error < rounding ? 0 : $0.attention.error)
      }
      lines.append(Plot.Line(name, points.sorted { $0.x < $1.x }))
    }
    let axis =
      overBytes
      ? Plot.Axis("bytes of the cache", scale: .logarithmic, unit: .bytes) : Plot.Axis("tokens read", unit: .count)
    return Plot(
      title: title, subtitle: subtitle, xAxis: axis,
      panels: [
        Plot.Panel(axis: Plot.Axis("relative error of attention", scale: .logarithmic), lines: lines, height: 320)
      ])
  }

  /// A cache without its numbers: caches of one kind and different size are points of one curve.
  static func family(_ specification: String) -> String {
    var family = ""
    var options = ""
    var rest = specification[...]
    if let bracket = rest.firstIndex(of: "[") { (options, rest) = (String(rest[bracket...]), rest[..<bracket]) }
    for item in rest.split(separator: ",") {
      family += (family.isEmpty ? "" : ",") + item.prefix { $0 != ":" }
    }
    return family + options
  }
}
