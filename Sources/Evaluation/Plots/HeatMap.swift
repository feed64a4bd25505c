/// A figure of tables whose cells are shares from 0 to 1, told by colour and by number; drawn by `svg()`.
package struct HeatMap: Sendable {
  /// One table.
  package struct Panel: Sendable {
    package var title: String
    /// `[row][column]`; nil is a cell without a value.
    package var values: [[Double?]]

    package init(_ title: String, values: [[Double?]]) {
      self.title = title
      self.values = values
    }
  }

  package var title: String
  /// One quieter line below the title.
  package var subtitle: String
  /// What the colours say.
  package var valueTitle: String
  package var columnTitle: String
  package var columns: [String]
  package var rowTitle: String
  package var rows: [String]
  package var panels: [Panel]

  /// - Precondition: each panel has a value for every row and column.
  package init(
    title: String, subtitle: String = "", valueTitle: String, columnTitle: String, columns: [String], rowTitle: String,
    rows: [String], panels: [Panel]
  ) {
    precondition(
      panels.allSatisfy { $0.values.count == rows.count && $0.values.allSatisfy { $0.count == columns.count } },
      "a panel needs a value for every cell")
    self.title = title
    self.subtitle = subtitle
    self.valueTitle = valueTitle
    self.columnTitle = columnTitle
    self.columns = columns
    self.rowTitle = rowTitle
    self.rows = rows
    self.panels = panels
  }

  /// The figure as the text of an SVG file: the same bytes for the same figure on every machine.
  ///
  /// Panels stand side by side as far as `width` reaches; a single one may be wider.
  package func svg(width: Double = 860) -> String { SVGHeatMap(self, width: width).text }
}
