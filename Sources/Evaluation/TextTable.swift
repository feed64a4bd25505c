/// A table for a terminal: aligned columns, a rule below the headings, no trailing blanks.
///
/// ```
/// cache       perplexity    memory
/// ----------  ----------  --------
/// window:512       72.81  22.5 MiB
/// ```
package struct TextTable: Sendable {
  package enum Alignment: Sendable { case leading, trailing }

  package struct Column: Sendable {
    package var heading: String
    package var alignment: Alignment

    package init(_ heading: String, _ alignment: Alignment = .leading) {
      self.heading = heading
      self.alignment = alignment
    }
  }

  package let columns: [Column]
  private var rows: [[String]] = []

  package init(_ columns: [Column]) { self.columns = columns }

  /// Appends a row with one cell a column; line breaks and other control characters in a cell become blanks.
  package mutating func append(_ cells: [String]) {
    precondition(cells.count == columns.count, "a row needs one cell a column")
    rows.append(cells.map { cell in String(cell.map { $0.isControl ? " " : $0 }) })
  }

  /// The table as lines without a line break at the end.
  package var lines: [String] {
    let widths = columns.indices.map { column in
      ([columns[column].heading] + rows.map { $0[column] }).map(\.count).max() ?? 0
    }
    let all = [columns.map(\.heading), widths.map { String(repeating: "-", count: $0) }] + rows
    return all.map { cells in
      let padded = cells.indices.map { column in
        let blanks = String(repeating: " ", count: widths[column] - cells[column].count)
        return columns[column].alignment == .leading ? cells[column] + blanks : blanks + cells[column]
      }
      let line = padded.joined(separator: "  ")
      return String(line.prefix(line.count - line.reversed().prefix { $0 == " " }.count))
    }
  }

  package var text: String { lines.map { $0 + "\n" }.joined() }
}

extension Character {
  fileprivate var isControl: Bool { unicodeScalars.contains { $0.properties.generalCategory == .control } }
}
