import Evaluation
import ModelJSON

extension Experiment {
  static let attentionStore: [Experiment] = [storePolicies, storeEngine, storeLoading]

  private static let storePolicies = Experiment(
    "policies", title: "Which sessions are there when their turn comes",
    claim: """
      ShareGPT, 9,000 conversations, 128 GB of memory and 10 TB of disk, LLaMA-2-70B on four A100: first token 87 % sooner, prompts read \
      7.8 times as fast, 89 % of returning turns found (v3, table of results). Queue-aware 86 %, LRU 58 %, FIFO 48 % for LLaMA-13B.
      """,
    differences: """
      A simulation of that machine with the policies of this store; conversations are made up in the shape of ShareGPT. A quick run has \
      fewer.
      """,
    runs: { setting in
      [
        SluiceRun(
          ["evaluate", "sessions", "--experiment", "policies"]
            + setting.pick(quick: ["--conversations", "1500", "--disk", "250", "--disk", "2000"], full: []) + ["--json"]
        )
      ]
    },
    read: { results throws(RunError) in
      let result = results[0]
      var best: [String: Int] = [:]
      for line in result.lines.indices {
        guard let policy = result.lines[line]["policy"]?.string else { continue }
        let disk = try result.number("diskBytes", line: line)
        if let known = best[policy], try result.number("diskBytes", line: known) >= disk { continue }
        best[policy] = line
      }
      guard let again = best["recompute"], let aware = best["queue-aware"] else {
        throw .missing("policy", line: 0, result.run)
      }
      let sooner =
        try 1 - result.number("firstTokenSeconds", line: aware) / result.number("firstTokenSeconds", line: again)
      let faster =
        try result.number("prefillTokensPerSecond", line: aware) / result.number("prefillTokensPerSecond", line: again)
      return Findings(
        [
          .number("first token sooner, percent", published: 87, measured: 100 * sooner),
          .number("prompts read so much faster", published: 7.8, measured: faster, unit: "×"),
          .number(
            "returning turns found, percent", published: 89, measured: 100 * (try result.number("hitRate", line: aware))
          ),
        ],
        tables: [
          FindingTable(
            "By policy and disk",
            headings: ["policy", "disk, GB", "found", "first token, s", "prompt tokens a second"],
            rows: try result.lines.indices.map { line throws(RunError) in
              [
                result.lines[line]["policy"]?.string ?? "",
                Figure.text(try result.number("diskBytes", line: line) / 1e9, places: 0),
                Figure.text(100 * (try result.number("hitRate", line: line)), places: 1) + " %",
                Figure.text(try result.number("firstTokenSeconds", line: line), places: 3),
                Figure.text(try result.number("prefillTokensPerSecond", line: line), places: 0),
              ]
            })
        ])
    })

  private static let storeEngine = Experiment(
    "engine", title: "Kept sessions on this machine",
    claim: "First token 61 to 87 % sooner than reading the conversation again.",
    differences:
      "This engine, a model of 135 million parameters, conversations an eighth as long, disk and memory of this machine.",
    runs: { setting in
      [
        SluiceRun(
          ["evaluate", "sessions", "--experiment", "engine"] + setting.modelWords()
            + ["--conversations", setting.pick(quick: "6", full: "32"), "--json"])
      ]
    },
    read: { results throws(RunError) in
      let result = results[0]
      guard result.lines.count > 1 else { throw .missing("firstTokenSeconds", line: 1, result.run) }
      let last = result.lines.count - 1
      let sooner = try 1 - result.number("firstTokenSeconds", line: last) / result.number("firstTokenSeconds")
      let computed = try result.number("computedTokens", line: last) / result.number("computedTokens")
      return Findings([
        .number(
          "first token sooner, percent", published: 87, measured: 100 * sooner,
          reason:
            "what is left is the new message itself; found \(Figure.text(100 * (try result.number("hitRate", line: last)), places: 0)) %"
        ),
        .statement(
          "tokens computed, of those of reading again", published: "about one in eight",
          measured: Figure.text(computed, places: 2), holds: computed < 0.5),
      ])
    })

  private static let storeLoading = Experiment(
    "loading", title: "Layers that come while the model computes",
    claim:
      "Section 3: with enough layers loaded ahead, loading is hidden behind computing; the buffer follows from both times.",
    differences: "A tier that is throttled so that loading takes as long as the paper's; times of this machine.",
    runs: { setting in
      [
        SluiceRun(
          ["evaluate", "sessions", "--experiment", "loading"] + setting.modelWords()
            + ["--rounds", setting.pick(quick: "3", full: "9"), "--json"])
      ]
    },
    read: { results throws(RunError) in
      let (measured, predicted) = (
        try results[0].numbers("requestSeconds"), try results[0].numbers("requestPredicted")
      )
      guard measured.count > 1 else { throw .missing("requestSeconds", line: 1, results[0].run) }
      let worst = zip(measured, predicted).map { abs($0 / $1 - 1) }.max() ?? 0
      return Findings(
        [
          .statement(
            "overlap follows the rule", published: "exactly",
            measured: "within \(Figure.text(100 * worst, places: 1)) %",
            holds: worst < 0.15)
        ],
        tables: [
          FindingTable(
            "Seconds until the first token", headings: ["layers ahead", "measured", "predicted"],
            rows: measured.indices.map { index in
              [
                results[0].lines[index]["lead"]?.text ?? "", Figure.text(measured[index], places: 3),
                Figure.text(predicted[index], places: 3),
              ]
            })
        ])
    })
}
