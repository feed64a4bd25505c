import Foundation
import ModelJSON
import Testing

@testable import Reproduction

#if canImport(FoundationXML)
  import FoundationXML
#endif

@Suite struct ReportTests {
  private let experiment = Experiment(
    "x", title: "A <title>", claim: "claims & \"more\"", differences: "none", runs: { _ in [] },
    read: { _ in Findings([]) })

  private var report: ReproductionReport {
    var report = ReproductionReport(origin: [("model", "a <b>")])
    let findings = Findings(
      [
        .number("fast", published: 2, measured: 4, unit: "×"),
        .statement("holds | so", published: "yes", measured: "<no>", holds: false, reason: "because"),
      ], tables: [FindingTable("t", headings: ["a"], rows: [["1 < 2"]])])
    let run = RunResult(run: SluiceRun(["bench", "a<b"]), lines: [["a": 1]], seconds: 3)
    report.append(.init(system: .cascading, experiment: experiment, outcome: .found(findings, [run])))
    report.append(.init(system: .snapKV, experiment: experiment, outcome: .needs([.texts, .recallAdapter])))
    report.append(.init(system: .sketch, experiment: experiment, outcome: .failed(.missing("v", line: 0, run.run))))
    return report
  }

  @Test("The page is well-formed, has no script and needs nothing from elsewhere")
  func page() throws {
    let page = report.page
    for word in ["<script", "http://", "https://", "<link", "url("] { #expect(!page.contains(word)) }
    let body = page.replacing("<!DOCTYPE html>", with: "").replacing("<meta charset=\"utf-8\">", with: "")
      .replacing("<meta name=\"viewport\" content=\"width=device-width\">", with: "")
    let document = try XMLDocument(xmlString: body)
    let text = document.rootElement()?.stringValue ?? ""
    for part in [
      "A <title>", "claims & \"more\"", "1 < 2", "<no>", "sluice bench 'a<b'", "--text and --recall-adapter",
    ] {
      #expect(text.contains(part))
    }
  }

  @Test func counts() {
    #expect(report.count(.passed) == 1 && report.count(.met) == 0 && report.count(.missed) == 1)
    #expect(report.hasFailures)
  }

  @Test("JSON has every row, command and reason of absence")
  func json() throws {
    let object = try JSONValue(parsing: report.json.text)
    let experiments = try #require(object["experiments"]?.array)
    #expect(experiments.count == 3)
    #expect(experiments[0]["rows"]?.array?.map { $0["verdict"]?.string } == ["passed", "missed"])
    #expect(experiments[0]["commands"]?.array?.first?["command"]?.string == "sluice bench 'a<b'")
    #expect(experiments[1]["absence"]?.string == "not run: give --text and --recall-adapter")
    #expect(experiments[2]["absence"]?.string?.hasPrefix("failed: ") == true)
  }

  @Test func tables() {
    #expect(report.markdown.contains("| Cascading KV cache | holds \\| so | yes | <no> | missed |"))
    #expect(report.parts[0].lines.contains { $0.contains("fast") && $0.contains("4.0×") })
    #expect(report.parts[1].lines[1] == "  not run: give --text and --recall-adapter")
  }
}
