import Evaluation
import ModelJSON

extension Experiment {
  static let cascading: [Experiment] = [cascadePerplexity, cascadePassKey, cascadePrefill]

  private static let cascadePerplexity = Experiment(
    "perplexity", title: "Levels against one level",
    claim: """
      PG19, books longer than the cache, each read alone, budgets of 16,384 to 65,536, 4 levels against 1 of the same code and \
      stride: about 0.4 % lower perplexity; 1.2 % in the first version, with 2,048 slots.
      """,
    differences: "Budgets of 240 tokens, chunks of 64, the beginning of each of the user's texts.", needs: [.texts],
    runs: { setting in
      setting.texts.prefix(setting.pick(quick: 3, full: 40)).map { text in
        setting.perplexity(
          [text], tokens: setting.tokens(quick: 4_000, full: 18_000),
          caches: ["cascading:240/1", "cascading:240/4", "streaming-llm:4+252"], words: ["--chunk", "64"])
      }
    },
    read: { results throws(RunError) in
      var changes: [Double] = [], rows: [[String]] = []
      for result in results {
        let (one, four, window) = (
          try result.number("perplexity", line: 0), try result.number("perplexity", line: 1),
          try result.number("perplexity", line: 2)
        )
        changes.append(four / one - 1)
        rows.append([
          result.text ?? "", Figure.text(one, places: 2), Figure.text(four, places: 2), Figure.change(four / one - 1),
          Figure.text(window, places: 2),
        ])
      }
      let spread = Spread(changes)
      return Findings(
        [
          .number(
            "lower perplexity than one level, percent", published: 0.4, measured: -100 * spread.mean,
            reason: "each text: \(Figure.change(spread.lowest)) to \(Figure.change(spread.highest)) of "
              + "\(changes.count) texts; a small budget has more to gain")
        ],
        tables: [
          FindingTable(
            "Perplexity by text",
            headings: ["text", "cascading:240/1", "cascading:240/4", "change", "streaming-llm:4+252"], rows: rows)
        ])
    })

  private static let cascadePassKey = Experiment(
    "pass-key", title: "Pass keys beyond the budget",
    claim: """
      Llama-3.1-8B, 65,536 slots, 8 levels, 64 sinks, six copies of a five-digit key of two tokens, shuffled words, 20 samples a \
      cell: right digits 24 points above one level at 1,000,000 tokens, sixteen times the budget.
      """,
    differences: """
      512 slots and 64 sinks, chunks of 128, the recall adapter; this vocabulary writes a key in five tokens, of which a level keeps \
      fewer. Four levels: eight of 64 slots are shorter than a key's lines.
      """, needs: [.recallAdapter],
    runs: { setting in
      [
        setting.recall(
          [
            "--task", "pass-key", "--needle", "cascade", "--lengths",
            setting.pick(quick: "1152,2304", full: "576,1152,2304,4608,9216"), "--cases",
            setting.pick(quick: "2", full: "4"), "--chunk", "128", "--per-point",
          ], caches: ["cascading:576/1[sinks=64]", "cascading:576/4[sinks=64]", "streaming-llm:64+521"])
      ]
    },
    read: { results throws(RunError) in
      let caches = try results[0].recallTable()
      guard caches.count == 3 else { throw .missing("cache", line: 0, results[0].run) }
      let lengths = caches[0].places
      let gain = { (length: Int) in caches[1].share(length).digits - caches[0].share(length).digits }
      return Findings(
        lengths.map { length in
          .number(
            "right digits above one level, points, at \(Figure.count(length)) tokens "
              + "(\(Figure.text(Double(length) / 576, places: 0)) times the budget)",
            published: 24, measured: 100 * gain(length), places: 0,
            reason: length >= 4608
              ? "keys of five tokens do not survive levels that keep one token in eight (docs/measurements.md)" : "")
        },
        tables: [
          FindingTable(
            "Whole keys, with their 95 % interval, and right digits", headings: ["tokens"] + caches.map(\.name),
            rows: lengths.map { length in [Figure.count(length)] + caches.map { $0.share(length).text } })
        ],
        plots: [
          Plot(
            title: "Right digits by length of the prompt",
            xAxis: Plot.Axis("tokens", scale: .logarithmic, unit: .count),
            panels: [
              Plot.Panel(
                axis: Plot.Axis("share of right digits", range: 0...1),
                lines: caches.map { cache in
                  Plot.Line(cache.name, lengths.map { Plot.Point(Double($0), cache.share($0).digits) })
                })
            ])
        ])
    })

  private static let cascadePrefill = Experiment(
    "prefill", title: "One attention layer over a long prompt",
    claim: """
      One layer of Llama-3.1-8B, 16,384 slots, against FlashAttention-2 over all of 1,000,000 tokens: 6.8 times as fast.
      """,
    differences: """
      Heads of the default model, CPU, exact attention by the same kernels, sampled at even depths. A quick run takes 100,000 \
      tokens and 4,096 slots.
      """,
    runs: { setting in
      [
        setting.bench(
          [
            "--attention", "--prefill", setting.pick(quick: "100000", full: "1000000"), "--chunk",
            setting.pick(quick: "1024", full: "4096"), "--heads", "9/3x64", "--cache",
            setting.pick(quick: "cascading:4096/4", full: "cascading:16384/4"),
          ], needsModel: false)
      ]
    },
    read: { results throws(RunError) in
      let parts = results[0].lines.first?["partSeconds"]?.array?.compactMap(\.double) ?? []
      let spread = Spread(parts.isEmpty ? [0] : parts)
      return Findings(
        [
          .number(
            "faster than exact attention to all of the prompt",
            published: 6.8, measured: try results[0].number("ratio"), unit: "×",
            reason: "over \(Figure.text(try results[0].number("tokens"), places: 0)) tokens in "
              + "\(Figure.text(try results[0].number("seconds"), places: 1)) s; tenths of the prompt took "
              + "\(Figure.text(spread.lowest, places: 2)) to \(Figure.text(spread.highest, places: 2)) s")
        ])
    })
}
