import Evaluation
import ModelJSON

extension Experiment {
  static let lamina: [Experiment] = [laminaPairs, laminaLarge]

  private static func table(_ result: RunResult) throws(RunError) -> FindingTable {
    FindingTable(
      "Attention apart beside the same model together",
      headings: ["model", "trace", "apart", "together", "batch ratio", "throughput", "per dollar"],
      rows: try result.lines.indices.filter { (result.lines[$0]["perDollarRatio"]?.double ?? 0) > 0 }.map {
        line throws(RunError) in
        let batches =
          try result.number("apartBatch", line: line) / result.number("togetherBatch", line: line)
        return ["model", "trace", "apart", "together"].map { result.lines[line][$0]?.string ?? "" } + [
          Figure.text(batches, places: 2),
          Figure.change(try result.number("throughputRatio", line: line) - 1),
          Figure.text(try result.number("perDollarRatio", line: line), places: 2),
        ]
      })
  }

  private static let laminaPairs = Experiment(
    "pairs", title: "Attention on other devices, at equal cost",
    claim: """
      v2: one H100 and two H20 beside two H100 (33B), two and four beside four (65B, 70B), four traces: 16.1 to 90.1 % more tokens a \
      second, batches 2.39 times as large.
      """,
    differences:
      "A simulation by rooflines of those devices; requests have the traces' mean lengths and a geometric spread.",
    runs: { _ in [SluiceRun(["simulate", "compare", "--json"])] },
    read: { results throws(RunError) in
      let gains = try results[0].numbers("throughputRatio").map { 100 * ($0 - 1) }
      guard !gains.isEmpty else { throw .missing("throughputRatio", line: 0, results[0].run) }
      let batches = zip(try results[0].numbers("apartBatch"), try results[0].numbers("togetherBatch")).map { $0 / $1 }
      let (spread, mean) = (Spread(gains), Spread(batches).mean)
      return Findings(
        [
          .number("batches so much larger, in the mean", published: 2.39, measured: mean, places: 2, unit: "×"),
          .number(
            "the least gain, percent", published: 16.1, measured: spread.lowest,
            reason:
              "short requests of a model whose queries share keys gain nothing by rooflines: memory does not bind there"
          ),
          .number(
            "the largest gain, percent", published: 90.1, measured: spread.highest,
            reason: "what rooflines do not have is the baseline's own inefficiency"),
        ], tables: [try table(results[0])])
    })

  private static let laminaLarge = Experiment(
    "per-dollar", title: "Tokens per dollar where weights leave no room",
    claim: "v1 (abstract): 1.48 to 12.1 times the tokens per dollar, estimated, over machines of one kind.",
    differences: """
      Its set-ups are not public; here the same model on as few H100 as hold its weights, which leaves keys and values almost no memory.
      """,
    runs: { _ in [SluiceRun(["simulate", "compare", "--against", "1,2,3,4", "--json"])] },
    read: { results throws(RunError) in
      // Where a model does not fit together there is nothing to compare with.
      let ratios = results[0].lines.compactMap { $0["perDollarRatio"]?.double }.filter { $0 > 0 }
      guard !ratios.isEmpty else { throw .missing("perDollarRatio", line: 0, results[0].run) }
      let spread = Spread(ratios)
      return Findings(
        [
          .statement(
            "tokens per dollar", published: "1.48 to 12.1 times",
            measured: "\(Figure.text(spread.lowest, places: 2)) to \(Figure.text(spread.highest, places: 2)) times",
            holds: spread.highest >= 1.48,
            reason: "the large ones are those where the machines beside have hardly room for a request")
        ], tables: [try table(results[0])])
    })
}
