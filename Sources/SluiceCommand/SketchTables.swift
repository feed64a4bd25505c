import Evaluation
import Foundation

/// The experiments with sketches as tables for a terminal.
enum SketchTables {
  /// The sizes that stay the same for all streams.
  static func text(_ size: SketchSize) -> String {
    """
    \(size.dim) dimensions, |logit| up to \(HumanReadable.decimal(size.bound, places: 1)), degree \(size.polynomial.degree) \
    (relative error \(scientific(size.relativeError))), \(HumanReadable.count(size.features)) features, \(size.rows) rows of \
    \(HumanReadable.count(size.buckets)) buckets, \(size.kept) entries recovered


    """
  }

  static func table(_ rows: [SketchGrowth.Row]) -> TextTable {
    var table = TextTable(
      [.init("stream")]
        + [
          "projection", "tokens", "numbers", "stored", "length", "before", "at most", "after", "best", "at most",
        ].map { .init($0, .trailing) })
    for row in rows {
      let mean = row.mean
      table.append(
        [
          row.stream.rawValue, row.projection.map { HumanReadable.count($0) } ?? "none",
          HumanReadable.count(row.tokens),
          HumanReadable.count(row.storedNumbers), HumanReadable.decimal(row.storedShare, places: 3),
          HumanReadable.decimal(mean.length, places: 3),
        ] + [mean.errorBefore, mean.boundBefore, mean.errorAfter, mean.best, mean.bound].map(scientific))
    }
    return table
  }

  static func table(_ exponents: [SketchGrowth.Exponent]) -> TextTable {
    var table = TextTable(
      [.init("over length, like tokens to the power"), .init("projection", .trailing)]
        + ["before", "after", "best"].map { .init($0, .trailing) })
    for row in exponents {
      table.append(
        [row.stream.rawValue, row.projection.map { HumanReadable.count($0) } ?? "none"]
          + [row.errorBefore, row.errorAfter, row.best].map { HumanReadable.decimal($0, places: 2) })
    }
    return table
  }

  static func table(_ rows: [SketchSizes.Row]) -> TextTable {
    var table = TextTable(
      ["dimensions", "|logit|", "degree", "features", "numbers", "fewer from"].map { .init($0, .trailing) })
    for row in rows {
      let counts = [row.features, row.storedNumbers, row.leastTokens]
      table.append(
        ["\(row.dim)", HumanReadable.decimal(row.bound, places: 1), "\(row.degree)"]
          + counts.map { $0.map { HumanReadable.count($0) } ?? "too many" })
    }
    return table
  }

  static func table(_ rows: [PolynomialDegrees.Row]) -> TextTable {
    var table = TextTable(
      ["bound", "degree", "Taylor", "Chebyshev", "minimax", "output error", "its bound"].map { .init($0, .trailing) })
    for row in rows {
      table.append(
        [HumanReadable.decimal(row.bound, places: 0), "\(row.degree)"]
          + [row.taylor, row.chebyshev, row.minimax, row.outputError, row.outputBound].map(scientific))
    }
    return table
  }

  private static func scientific(_ value: Double) -> String { String(format: "%.1e", value) }
}
