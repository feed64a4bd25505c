import Evaluation

extension ReproductionReport.Part {
  /// The headlines for a terminal.
  package var lines: [String] {
    let title = "\(system.title): \(experiment.title)"
    if let absence = ReproductionReport.absence(outcome) { return [title, "  " + absence, ""] }
    guard case .found(let findings, _) = outcome else { return [] }
    var table = TextTable([
      .init("headline"), .init("published", .trailing), .init("measured", .trailing), .init("verdict"),
    ])
    for row in findings.rows { table.append([row.headline, row.published, row.measured, row.verdict.rawValue]) }
    return [title] + table.lines.map { "  " + $0 } + [""]
  }
}

extension ReproductionReport {
  /// The headlines as a table of Markdown, for a document.
  package var markdown: String {
    var lines = ["| system | headline | published | measured | verdict |", "| --- | --- | --- | --- | --- |"]
    for part in parts {
      guard case .found(let findings, _) = part.outcome else { continue }
      for row in findings.rows {
        let cells = [part.system.title, row.headline, row.published, row.measured, row.verdict.rawValue]
        lines.append("| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |")
      }
    }
    lines += ["", "Not measured here:", ""]
    for system in PublishedSystem.allCases where parts.contains(where: { $0.system == system }) {
      lines += system.unmeasured.map { "- \(system.title), \($0.headline): \($0.reason)." }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
