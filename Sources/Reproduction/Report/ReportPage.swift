import Evaluation

extension ReproductionReport {
  /// The report as one page of HTML: no script, nothing from elsewhere, readable on paper.
  package var page: String {
    var body = [
      "<h1>Published figures, and these</h1>",
      "<p>\(count(.passed)) headlines passed, \(count(.met)) met, \(count(.missed)) missed. Passed: better than published by "
        + "more than 5 %. Each row is what the commands below it printed.</p>",
      "<dl>" + origin.map { "<dt>\(escaped($0.name))</dt><dd>\(escaped($0.value))</dd>" }.joined() + "</dl>",
    ]
    for system in PublishedSystem.allCases {
      let own = parts.filter { $0.system == system }
      guard !own.isEmpty else { continue }
      body.append("<h2>\(escaped(system.title)) <small>arXiv \(system.paper)</small></h2>")
      for part in own { body += section(part) }
      if !system.unmeasured.isEmpty {
        body.append(
          "<h4>Not measured here</h4>"
            + table(["headline", "why"], system.unmeasured.map { [$0.headline, $0.reason] }, classes: []))
      }
    }
    return """
      <!DOCTYPE html>
      <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
      <title>Sluice: published figures, and these</title><style>\(Self.style)</style></head><body>
      \(body.joined(separator: "\n"))
      </body></html>

      """
  }

  private func section(_ part: Part) -> [String] {
    var lines = [
      "<section><h3>\(escaped(part.experiment.title))</h3>",
      "<p><b>Published.</b> \(escaped(part.experiment.claim))</p>",
      "<p><b>Here.</b> \(escaped(part.experiment.differences))</p>",
    ]
    if let absence = Self.absence(part.outcome) { lines.append("<p class=\"missed\">\(escaped(absence))</p>") }
    if case .found(let findings, let results) = part.outcome {
      lines.append(
        table(
          ["headline", "published", "measured", "ratio", "", "why"],
          findings.rows.map { row in
            [
              row.headline, row.published, row.measured, row.ratio.map { Figure.text($0, places: 2) } ?? "",
              row.verdict.rawValue, row.reason,
            ]
          }, classes: findings.rows.map(\.verdict.rawValue)))
      for table in findings.tables {
        lines.append("<h4>\(escaped(table.title))</h4>" + self.table(table.headings, table.rows, classes: []))
      }
      lines += findings.plots.map { "<figure>\($0.svg())</figure>" }
      for result in results {
        lines.append("<pre>\(escaped(result.run.text))   # \(Figure.text(result.seconds, places: 0)) s</pre>")
      }
    }
    return lines + ["</section>"]
  }

  private func table(_ headings: [String], _ rows: [[String]], classes: [String]) -> String {
    let head = headings.map { "<th>\(escaped($0))</th>" }.joined()
    let body = rows.enumerated().map { index, cells in
      let name = classes.indices.contains(index) ? " class=\"\(classes[index])\"" : ""
      return "<tr\(name)>" + cells.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
    }
    return "<table><thead><tr>\(head)</tr></thead><tbody>\(body.joined())</tbody></table>"
  }

  private func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
      .replacing("\"", with: "&quot;")
  }

  private static let style = """
    :root{color-scheme:light dark}
    body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
    h2{margin-top:3rem;border-bottom:1px solid #8888}h2 small{font-weight:normal;opacity:.7}
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{opacity:.7}dd{margin:0}
    table{border-collapse:collapse;width:100%;font-size:14px}
    th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #8884}
    tr.missed td:nth-child(5),p.missed{color:#c33}tr.passed td:nth-child(5),tr.met td:nth-child(5){color:#283}
    pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:12px;opacity:.8;margin:.2rem 0}
    figure{margin:1rem 0}svg{max-width:100%;height:auto}
    section{break-inside:avoid}
    @media print{body{max-width:none;font-size:11px}h2{break-after:avoid}}
    """
}
