import Evaluation
import ModelJSON

extension Experiment {
  static let subGen: [Experiment] = [subGenLines, subGenErrors]

  /// Tokens of the records that are asked for lines.
  private static let recordTokens = 2000

  private static let subGenLines = Experiment(
    "lines", title: "Lines of a record at equal memory",
    claim: """
      LongEval lines, Llama-2-7B-32K, 5,000, 7,000 and 9,000 tokens, the cache cut by 35, 42 and 50 %: k-center finds about 10 points \
      more than H2O and sinks with a window.
      """,
    differences: "Records of 2,000 tokens, cuts of 35, 50 and 75 %, the recall adapter.", needs: [.recallAdapter],
    runs: { setting in
      [0.35, 0.5, 0.75].map { cut in
        let slots = Int(Double(recordTokens) * (1 - cut))
        return setting.recall(
          [
            "--task", "lines", "--lengths", "\(recordTokens)", "--depths", "0.1,0.3,0.5,0.7,0.9", "--cases",
            setting.pick(quick: "2", full: "10"), "--per-point",
          ],
          caches: ["k-center:\(slots)", "subgen:\(slots)", "h2o:\(slots)", "streaming-llm:4+\(slots - 4)"])
      }
    },
    read: { results throws(RunError) in
      var rows: [HeadlineRow] = [], cells: [[String]] = []
      for (cut, result) in zip(["35", "50", "75"], results) {
        let caches = try result.recallTable()
        guard caches.count == 4 else { throw .missing("cache", line: 0, result.run) }
        let shares = caches.map(\.all)
        let rival = max(shares[2].exact, shares[3].exact)
        rows.append(
          .number(
            "centers above H2O and sinks with a window, points, \(cut) % cut", published: 10,
            measured: 100 * (shares[0].exact - rival), places: 0,
            reason: "of \(shares[0].cases) cases; digits \(Figure.text(shares[0].digits, places: 2)) against "
              + Figure.text(max(shares[2].digits, shares[3].digits), places: 2)))
        cells.append(["\(cut) %"] + shares.map(\.text))
      }
      return Findings(
        rows,
        tables: [
          FindingTable(
            "Whole numbers, with their 95 % interval, and right digits",
            headings: ["cut", "k-center", "subgen", "h2o", "streaming-llm"], rows: cells)
        ])
    })

  private static let subGenErrors = Experiment(
    "errors", title: "The error of attention by budget",
    claim: "Theorem: the error of Algorithm 1 falls as one over the root of its samples.",
    differences:
      "The middle over layers and heads of the model's own keys, where the theorem asks for clusterable ones.",
    needs: [.texts],
    runs: { setting in
      [
        SluiceRun(
          ["evaluate", "error"] + setting.modelWords() + [
            setting.texts[0], "--at", setting.pick(quick: "1500", full: "4000"),
          ]
            + [128, 512, 2048].flatMap { ["--cache", "subgen:\($0)[mode=paper,window=32,positions=original]"] }
            + ["--cache", "subgen:512", "--cache", "streaming-llm:4+508", "--cache", "h2o:512", "--json"])
      ]
    },
    read: { results throws(RunError) in
      let errors = try results[0].numbers("error")
      guard errors.count == 6 else { throw .missing("error", line: errors.count, results[0].run) }
      let names = results[0].lines.map { $0["cache"]?.string ?? "" }
      return Findings(
        [
          .statement(
            "four times the samples halve the error", published: "0.50",
            measured:
              "\(Figure.text(errors[1] / errors[0], places: 2)) and \(Figure.text(errors[2] / errors[1], places: 2))",
            holds: errors[2] < 0.7 * errors[1],
            reason: "means over heads are ruled by the few where the denominator misses a heavy key"),
          .statement(
            "clusters beside a window and H2O of as many slots", published: "nearer to the full cache",
            measured: "\(Figure.text(errors[3], places: 3)), \(Figure.text(errors[4], places: 3)) and "
              + Figure.text(errors[5], places: 3),
            holds: errors[3] < min(errors[4], errors[5]),
            reason: "what the paper measures is recall of lines, not this error"),
        ],
        tables: [
          FindingTable(
            "Mean relative error of attention", headings: ["cache", "error"],
            rows: zip(names, errors).map { [$0, Figure.text($1, places: 3)] })
        ])
    })
}
