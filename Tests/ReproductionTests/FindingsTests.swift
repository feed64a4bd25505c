import Foundation
import ModelJSON
import Testing

@testable import Reproduction

@Suite struct FindingsTests {
  @Test("A number is met within 5 %, passed above, missed below")
  func verdicts() {
    let rows: [(Double, Verdict)] = [(94.9, .missed), (95.1, .met), (104.9, .met), (105.1, .passed), (-3, .missed)]
    for (measured, verdict) in rows {
      #expect(HeadlineRow.number("x", published: 100, measured: measured).verdict == verdict)
    }
  }

  @Test("Figures are written as documents have them")
  func figures() {
    #expect(Figure.text(1234567.891, places: 2) == "1,234,567.89")
    #expect(Figure.text(-0.04, places: 1) == "0.0")
    #expect(Figure.text(0.05, places: 2) == "0.05")
    #expect(Figure.text(-1000, places: 0) == "−1,000")
    #expect(Figure.change(-0.0312) == "−3.1 %")
    #expect(Figure.change(0.5) == "+50.0 %")
    #expect(Figure.text(.infinity, places: 1) == "inf")
  }

  private func findings(
    _ experiment: Experiment, _ lines: [[JSONValue]], _ setting: ReproductionSetting
  ) throws -> Findings {
    let runs = experiment.runs(setting)
    try #require(runs.count == lines.count)
    return try experiment.read(zip(runs, lines).map { RunResult(run: $0, lines: $1, seconds: 1) })
  }

  private let setting = ReproductionSetting(
    extent: .quick, recallAdapter: "r", infiniModel: "i", texts: ["a.txt", "b.txt", "c.txt"])

  @Test("Sinks: the paper's own figures meet its claims, and a model without the effect misses them")
  func sinks() throws {
    let experiment = try #require(PublishedSystem.streamingLLM.experiments.first { $0.name == "sinks" })
    let verdicts = { (values: [Double]) in
      try findings(experiment, [values.map { ["perplexity": JSONValue($0)] }], setting).rows.map(\.verdict)
    }
    #expect(try verdicts([3359.95, 11.88, 10.51, 9.59, 9.54]) == [.met, .met])
    #expect(try verdicts([17.90, 12.12, 12.12, 12.12, 12.12]) == [.met, .met])
    #expect(try verdicts([12.2, 12.12, 12.12, 12.12, 11.0]) == [.missed, .missed])
  }

  @Test(
    "Questions in a stream: what the paper saw meets its claims; a cache that forgets, or a model that never breaks, misses"
  )
  func questions() throws {
    let experiment = try #require(PublishedSystem.streamingLLM.experiments.first { $0.name == "questions" })
    /// Digits at the start and the end of the stream, of the stream's cache, the window and everything kept.
    let verdicts = { (shares: [(Double, Double)]) in
      let lines = zip(["streaming-llm:4+508", "window:512", "full"], shares).flatMap { cache, share in
        [(1000, share.0), (12_000, share.1)].map { length, digits -> JSONValue in
          [
            "cache": JSONValue(cache), "length": JSONValue(length), "cases": JSONValue(4), "exactMatch": JSONValue(0),
            "digitAccuracy": JSONValue(digits),
          ]
        }
      }
      return try findings(experiment, [lines], setting).rows.map(\.verdict)
    }
    #expect(try verdicts([(0.71, 0.71), (0.7, 0.04), (0.71, 0)]) == [.met, .met, .met])
    #expect(try verdicts([(0.71, 0.5), (0.7, 0.5), (0.71, 0.7)]) == [.missed, .missed, .missed])
  }

  @Test("Cascade: the gain is the mean of the texts' own")
  func cascade() throws {
    let experiment = try #require(PublishedSystem.cascading.experiments.first { $0.name == "perplexity" })
    let line = { (value: Double) -> JSONValue in ["perplexity": JSONValue(value)] }
    let found = try findings(
      experiment,
      [[line(100), line(99), line(101)], [line(50), line(48.5), line(51)], [line(20), line(20), line(20)]],
      setting)
    #expect(found.rows[0].measured == "1.3")
    #expect(found.rows[0].verdict == .passed)
    #expect(found.tables[0].rows.map { $0[0] } == ["a.txt", "b.txt", "c.txt"])
  }

  @Test("Recall: cells of a cache are weighed by their cases")
  func recall() throws {
    let run = SluiceRun(["evaluate"])
    let cell = { (cache: String, length: Int, cases: Int, exact: Double) -> JSONValue in
      [
        "cache": JSONValue(cache), "length": JSONValue(length), "cases": JSONValue(cases),
        "exactMatch": JSONValue(exact), "digitAccuracy": JSONValue(exact),
      ]
    }
    let table = try RunResult(
      run: run,
      lines: [cell("a", 100, 1, 1), cell("a", 100, 3, 0), cell("a", 200, 4, 1), cell("b", 100, 2, 0.5)], seconds: 1
    ).recallTable()
    #expect(table.map(\.name) == ["a", "b"])
    #expect(table[0].places == [100, 200])
    #expect(table[0].share(100).exact == 0.25 && table[0].share(100).cases == 4)
    #expect(table[0].all.exact == 0.625)
  }

  @Test("A quick run follows the machine's speed, a full one does not")
  func speed() {
    var setting = setting
    for (speed, tokens) in [(1.0, 9_000), (4, 9_000), (0.5, 4_000), (0.001, 1_000)] {
      setting.speed = speed
      #expect(setting.tokens(quick: 9_000, full: 400_000) == tokens || speed == 0.001)
      #expect(setting.tokens(quick: 9_000, full: 400_000) >= 1_000 - 1)
    }
    setting.extent = .full
    #expect(setting.tokens(quick: 9_000, full: 400_000) == 400_000)
  }

  @Test("Names of experiments are unique, and each says what is published and what differs")
  func catalogue() {
    for system in PublishedSystem.allCases {
      let names = system.experiments.map(\.name)
      #expect(Set(names).count == names.count && !names.isEmpty)
      for experiment in system.experiments {
        #expect(!experiment.claim.isEmpty && !experiment.differences.isEmpty)
        #expect(!experiment.runs(setting).isEmpty)
      }
    }
  }
}
