import Testing

@testable import Evaluation

@Suite struct PlotScaleTests {
  struct Row: Sendable {
    let axis: Plot.Axis
    let values: [Double]
    let labels: [String]
  }

  static let rows: [Row] = [
    Row(axis: Plot.Axis(""), values: [0, 1], labels: ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    Row(axis: Plot.Axis(""), values: [-3, 7.5], labels: ["−4", "−2", "0", "2", "4", "6", "8"]),
    Row(
      axis: Plot.Axis(""), values: [0.0012, 0.0031], labels: ["0.001", "0.0015", "0.002", "0.0025", "0.003", "0.0035"]),
    Row(axis: Plot.Axis("", includesZero: true), values: [40, 42], labels: ["0", "10", "20", "30", "40", "50"]),
    Row(
      axis: Plot.Axis("", unit: .count), values: [0, 1_000_000], labels: ["0", "200k", "400k", "600k", "800k", "1M"]),
    Row(
      axis: Plot.Axis("", unit: .count), values: [0, 2_500_000],
      labels: ["0", "500k", "1M", "1.5M", "2M", "2.5M"]),
    Row(
      axis: Plot.Axis("", unit: .count), values: [1_000_000, 1_000_004],
      labels: ["1000000", "1000001", "1000002", "1000003", "1000004"]),
    Row(
      axis: Plot.Axis("", unit: .bytes), values: [0, 23 * 1_048_576],
      labels: ["0", "5 MiB", "10 MiB", "15 MiB", "20 MiB", "25 MiB"]),
    Row(
      axis: Plot.Axis("", unit: .bytes), values: [0, 1_572_864],
      labels: ["0", "0.5 MiB", "1 MiB", "1.5 MiB"]),
    Row(
      axis: Plot.Axis("", scale: .logarithmic), values: [38, 1_900],
      labels: ["20", "50", "100", "200", "500", "1000", "2000"]),
    Row(
      axis: Plot.Axis("", scale: .logarithmic, unit: .count), values: [1, 1_000_000],
      labels: ["1", "10", "100", "1k", "10k", "100k", "1M"]),
    Row(
      axis: Plot.Axis("", scale: .logarithmic), values: [41, 44], labels: ["20", "25", "30", "35", "40", "45", "50"]),
    Row(
      axis: Plot.Axis("", scale: .logarithmic, unit: .bytes), values: [524_288, 4_194_304],
      labels: ["512 KiB", "1 MiB", "2 MiB", "4 MiB"]),
    Row(axis: Plot.Axis("", range: 0...10), values: [99], labels: ["0", "2", "4", "6", "8", "10"]),
    Row(axis: Plot.Axis(""), values: [5], labels: ["2", "3", "4", "5", "6", "7", "8"]),
    Row(axis: Plot.Axis(""), values: [], labels: ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    Row(axis: Plot.Axis("", scale: .logarithmic), values: [-1, 0, .nan], labels: ["1", "2", "5", "10"]),
  ]

  @Test(arguments: rows) func `ticks are round numbers in the unit of the axis`(row: Row) {
    let scale = PlotScale(axis: row.axis, values: row.values, rounded: true)
    #expect(scale.ticks.map(\.label) == row.labels)
  }

  @Test(arguments: rows) func `values and ticks lie inside the axis`(row: Row) {
    let scale = PlotScale(axis: row.axis, values: row.values, rounded: true)
    let shown = row.axis.range == nil ? row.values : []
    for value in shown + scale.ticks.map(\.value) where value.isFinite && (row.axis.scale == .linear || value > 0) {
      let fraction = scale.fraction(value) ?? -1
      #expect(fraction >= -1e-9 && fraction <= 1 + 1e-9)
    }
  }

  @Test func `extreme ranges give a bounded number of ticks with distinct labels`() {
    for scale in [Plot.Axis.Scale.linear, .logarithmic] {
      for unit in [Plot.Axis.Unit.number, .count, .bytes] {
        for (lower, upper) in [(1e-300, 1e300), (1, 1 + 1e-12), (1e15, 1e15 + 10), (1e-200, 1e-90), (1e-9, 1e-8)] {
          let ticks = PlotScale(axis: Plot.Axis("", scale: scale, unit: unit), values: [lower, upper], rounded: true)
            .ticks
          #expect(ticks.count <= 12, "\(scale) \(unit) \(lower) \(upper)")
        }
      }
    }
  }

  @Test func `positions are logarithmic or linear and undefined where they must be`() {
    let linear = PlotScale(axis: Plot.Axis("", range: 10...20), values: [], rounded: true)
    #expect(linear.fraction(15) == 0.5)
    #expect(linear.fraction(.infinity) == nil)
    let logarithmic = PlotScale(axis: Plot.Axis("", scale: .logarithmic, range: 1...100), values: [], rounded: true)
    #expect(logarithmic.fraction(10) == 0.5)
    #expect(logarithmic.fraction(0) == nil)
    #expect(logarithmic.fraction(-1) == nil)
  }
}
