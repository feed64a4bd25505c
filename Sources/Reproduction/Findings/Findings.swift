package import Evaluation

/// What an experiment found: the paper's figures with ours, and what they were read from.
package struct Findings: Sendable {
  package var rows: [HeadlineRow]
  package var tables: [FindingTable]
  package var plots: [Plot]

  init(_ rows: [HeadlineRow], tables: [FindingTable] = [], plots: [Plot] = []) {
    self.rows = rows
    self.tables = tables
    self.plots = plots
  }
}

/// A table of figures, all of them as text.
package struct FindingTable: Sendable {
  package let title: String
  package let headings: [String]
  package let rows: [[String]]

  init(_ title: String, headings: [String], rows: [[String]]) {
    assert(rows.allSatisfy { $0.count == headings.count }, "a row has a cell a heading")
    self.title = title
    self.headings = headings
    self.rows = rows
  }
}

/// A published figure or statement beside what was measured here.
package struct HeadlineRow: Sendable {
  package let headline: String
  /// As published.
  package let published: String
  /// As measured.
  package let measured: String
  /// Ours over the published number, where both are numbers of one kind.
  package let ratio: Double?
  package let verdict: Verdict
  /// Why it was missed, or what else a reader should know.
  package let reason: String
}

package enum Verdict: String, Sendable {
  /// As published, to 5 % where it is a number.
  case met
  /// Better than published by more than that.
  case passed
  case missed
}

extension HeadlineRow {
  /// A number of which more is better.
  static func number(
    _ headline: String, published: Double, measured: Double, places: Int = 1, unit: String = "", reason: String = ""
  ) -> HeadlineRow {
    let ratio = measured / published
    return HeadlineRow(
      headline: headline, published: Figure.text(published, places: places) + unit,
      measured: Figure.text(measured, places: places) + unit, ratio: ratio,
      verdict: ratio > 1.05 ? .passed : ratio >= 0.95 ? .met : .missed, reason: reason)
  }

  /// A statement that holds or does not.
  static func statement(
    _ headline: String, published: String, measured: String, holds: Bool, reason: String = ""
  ) -> HeadlineRow {
    HeadlineRow(
      headline: headline, published: published, measured: measured, ratio: nil, verdict: holds ? .met : .missed,
      reason: reason)
  }
}
