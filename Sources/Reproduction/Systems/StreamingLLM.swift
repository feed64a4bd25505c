import Evaluation
import ModelJSON

extension Experiment {
  static let streamingLLM: [Experiment] = [
    fourWays, sinks, cacheSizes, longStream, recomputationTime, streamEval, questions,
  ]

  private static let fourWays = Experiment(
    "four-ways", title: "Four ways to read a long text",
    claim: """
      Figure 1: Llama-2-13B on the first book of PG19 (65,000 tokens): perplexity 5,641 with everything kept, 5,158 with a \
      window, 5.43 with the window computed anew, 5.40 with sinks and a window.
      """,
    differences:
      "A model of 135 million parameters, windows of 512, the user's texts. A small model breaks more mildly.",
    needs: [.texts],
    runs: { setting in
      // Whatever the machine's speed: the trained length has to be passed.
      let tokens = setting.pick(quick: 12_000, full: 65_000)
      return [
        setting.perplexity(
          setting.texts, tokens: tokens, caches: ["full", "window:512", "recompute:512/256", "streaming-llm:4+508"],
          words: ["--progress-every", "\(tokens / 12)"])
      ]
    },
    read: { results throws(RunError) in
      let values = try results[0].numbers("perplexity")
      let names = ["full", "window:512", "recompute:512/256", "streaming-llm:4+508"]
      guard values.count == names.count else { throw .missing("perplexity", line: values.count, results[0].run) }
      let (window, anew, streaming) = (values[1], values[2], values[3])
      let ends = results[0].lines.map { $0["parts"]?.array?.last?["perplexity"]?.double ?? 0 }
      let broken = ends[0] / max(ends[3], 1)
      return Findings(
        [
          .number(
            "the stream is as good as a window computed anew (perplexity anew / stream)", published: 5.43 / 5.40,
            measured: anew / streaming, places: 3),
          .statement(
            "a window without sinks breaks", published: "955 times the perplexity of the stream",
            measured: Figure.text(window / streaming, places: 2) + " times", holds: window > 1.2 * streaming,
            reason: "how badly depends on the model: Table 2 has 1.5 times for Falcon-7B, 1.8 for Pythia-12B"),
          .statement(
            "everything kept breaks past the trained length", published: "1,045 times the perplexity of the stream",
            measured: Figure.text(broken, places: 2) + " times in the last twelfth of the text", holds: broken > 1.2,
            reason: "a model breaks some way past its trained length; the text may end before"),
        ],
        tables: [
          FindingTable(
            "Perplexity", headings: ["cache", "perplexity", "of the last twelfth", "cache memory at most"],
            rows: try names.indices.map { index throws(RunError) in
              [
                names[index], Figure.text(values[index], places: 2), Figure.text(ends[index], places: 2),
                Figure.mebibytes(try results[0].number("cacheBytesPeak", line: index)),
              ]
            })
        ])
    })

  private static let sinks = Experiment(
    "sinks", title: "How many sinks",
    claim: """
      Table 2, 400,000 tokens of PG19, perplexity with 0, 1, 2, 4 and 8 sinks: Llama-2-7B 3,360, 11.88, 10.51, 9.59, 9.54; \
      Falcon-7B 17.90, 12.12, 12.12, 12.12, 12.12; Pythia-12B 21.62, 11.95, 12.09, 12.09, 12.02.
      """,
    differences: "Caches of 512 tokens, a small model.", needs: [.texts],
    runs: { setting in
      [
        setting.perplexity(
          setting.texts, tokens: setting.tokens(quick: 9_000, full: 400_000),
          caches: ["window:512"] + [1, 2, 4, 8].map { "streaming-llm:\($0)+\(512 - $0)" })
      ]
    },
    read: { results throws(RunError) in
      let values = try results[0].numbers("perplexity")
      guard values.count == 5 else { throw .missing("perplexity", line: values.count, results[0].run) }
      let best = values.dropFirst().min() ?? 1
      return Findings(
        [
          .statement(
            "without sinks a window breaks", published: "1.5 to 350 times the perplexity with four",
            measured: Figure.text(values[0] / values[3], places: 2) + " times", holds: values[0] > 1.2 * values[3]),
          .statement(
            "four sinks are enough", published: "8 instead of 4: −0.6 to 0 %",
            measured: Figure.change(values[4] / values[3] - 1), holds: values[3] < 1.01 * best),
        ],
        tables: [
          FindingTable(
            "Perplexity by sinks", headings: ["sinks", "perplexity"],
            rows: zip(["0", "1", "2", "4", "8"], values).map { [$0, Figure.text($1, places: 2)] })
        ])
    })

  private static let cacheSizes = Experiment(
    "cache-sizes", title: "Larger caches",
    claim: """
      Table 6: a larger cache is not always better. Falcon-7B at 4+252, 508, 1020, 2044: 13.61, 12.84, 12.34, 12.84; MPT-7B: \
      14.12, 14.25, 14.33, 14.99.
      """,
    differences: "A small model.", needs: [.texts],
    runs: { setting in
      [
        setting.perplexity(
          setting.texts, tokens: setting.tokens(quick: 9_000, full: 400_000),
          caches: [252, 508, 1020, 2044].map { "streaming-llm:4+\($0)" })
      ]
    },
    read: { results throws(RunError) in
      let sizes = [252, 508, 1020, 2044]
      let values = try results[0].numbers("perplexity")
      guard values.count == sizes.count else { throw .missing("perplexity", line: values.count, results[0].run) }
      let isMonotone = zip(values, values.dropFirst()).allSatisfy { $0 > $1 }
      return Findings(
        [
          .statement(
            "a larger cache need not be better", published: "the largest is not the best for 3 of 4 models",
            measured: isMonotone ? "each larger cache is better" : "not monotone", holds: !isMonotone,
            reason: isMonotone ? "this model makes use of all of its cache; the paper's did not" : "")
        ],
        tables: [
          FindingTable(
            "Perplexity by size", headings: ["window beside 4 sinks", "perplexity"],
            rows: zip(sizes, values).map { [Figure.count($0), Figure.text($1, places: 2)] })
        ])
    })

  private static let longStream = Experiment(
    "long-stream", title: "Four million tokens",
    claim: "Figure 5: perplexity stays flat over more than 4,000,000 tokens, memory and time a token too.",
    differences: "Texts are read again from the first when they end. A quick run reads 40,000 tokens.",
    needs: [.texts],
    runs: { setting in
      let tokens = max(20_000, setting.tokens(quick: 40_000, full: 4_000_000))
      let texts = setting.extent == .quick ? setting.texts : Array(repeating: setting.texts, count: 40).flatMap { $0 }
      return [
        setting.perplexity(
          texts, tokens: tokens, caches: ["streaming-llm:4+508"], words: ["--progress-every", "\(tokens / 10)"])
      ]
    },
    read: { results throws(RunError) in
      guard let parts = results[0].lines.first?["parts"]?.array, parts.count > 3 else {
        throw .missing("parts", line: 0, results[0].run)
      }
      let values = parts.compactMap { $0["perplexity"]?.double }, bytes = parts.compactMap { $0["cacheBytes"]?.double }
      let half = values.count / 2
      let early = Spread(Array(values.prefix(half))), late = Spread(Array(values.suffix(half)))
      let tokens = try results[0].number("tokens")
      return Findings(
        [
          .statement(
            "perplexity stays flat", published: "4,000,000 tokens",
            measured:
              "\(Figure.text(tokens, places: 0)) tokens; the second half \(Figure.change(late.mean / early.mean - 1)) "
              + "beside the first, tenths from \(Figure.text(Spread(values).lowest, places: 1)) to "
              + Figure.text(Spread(values).highest, places: 1),
            holds: late.mean < early.highest * 1.1, reason: "tenths differ by what is read, not by where it stands"),
          .statement(
            "memory stays put", published: "constant", measured: Figure.mebibytes(bytes.last ?? 0),
            holds: bytes.first == bytes.last),
        ],
        plots: [
          Plot(
            title: "Perplexity along the stream", xAxis: Plot.Axis("tokens read", unit: .count),
            panels: [
              Plot.Panel(
                axis: Plot.Axis("perplexity of each tenth", includesZero: true),
                lines: [
                  Plot.Line(
                    "streaming-llm:4+508",
                    values.indices.map { Plot.Point(tokens * Double($0 + 1) / Double(values.count), values[$0]) })
                ])
            ])
        ])
    })

  private static let recomputationTime = Experiment(
    "latency", title: "A token of the stream beside its window computed anew",
    claim: """
      Figure 10, one A6000, milliseconds a token, Llama-2-13B, windows of 256, 512, 1,024, 2,048 and 4,096: 99, 169, 361, 860, \
      2,355 computed anew, 48, 52, 60, 75, 106 streamed: up to 22.2 times.
      """,
    differences: """
      CPU; the window is computed in chunks of 512, the stream token by token. A prompt costs a CPU far more per token, beside a \
      single token, than it costs a GPU.
      """,
    runs: { setting in
      [
        setting.bench([
          "--recompute", "--windows", "256,512,1024,2048,4096", "--rounds", setting.pick(quick: "1", full: "5"),
        ])
      ]
    },
    read: { results throws(RunError) in
      let (windows, ratios) = (try results[0].numbers("window"), try results[0].numbers("ratio"))
      let (anew, streamed) = (
        try results[0].numbers("recomputationSecondsPerToken"), try results[0].numbers("streamSecondsPerToken")
      )
      let published = [99 / 48.0, 169 / 52.0, 361 / 60.0, 860 / 75.0, 2355 / 106.0]
      return Findings(
        [
          .number(
            "faster than computing the window anew, at 4,096", published: 22.2, measured: ratios.last ?? 0, unit: "×")
        ],
        tables: [
          FindingTable(
            "Milliseconds a token", headings: ["window", "computed anew", "streamed", "ratio", "published ratio, 13B"],
            rows: windows.indices.map { index in
              [
                Figure.text(windows[index], places: 0), Figure.text(1000 * anew[index], places: 1),
                Figure.text(1000 * streamed[index], places: 2), Figure.text(ratios[index], places: 1),
                published.indices.contains(index) ? Figure.text(published[index], places: 1) : "",
              ]
            })
        ])
    })
}
