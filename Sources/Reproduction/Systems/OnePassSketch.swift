import Evaluation
import ModelJSON

extension Experiment {
  static let sketch: [Experiment] = [sketchGrowth, sketchSizes]

  private static let sketchGrowth = Experiment(
    "growth", title: "One size for streams that grow",
    claim: """
      Theorem (there are no experiments): from o(n) numbers each column of the output is recovered to the best error of k entries, and \
      the share of memory tends to zero as the stream grows.
      """,
    differences:
      "Made-up heads of 3 dimensions and logits up to 1, which is what the sketch can hold; streams that suit it.",
    runs: { setting in
      [
        SluiceRun([
          "evaluate", "sketch", "--experiment", "growth", "--tokens",
          setting.pick(quick: "1000,4000,16000", full: "1000,4000,16000,64000,256000,1000000"), "--seeds",
          setting.pick(quick: "4", full: "8"), "--json",
        ])
      ]
    },
    read: { results throws(RunError) in
      let streams = results[0].lines.filter {
        $0["experiment"]?.string == "growth" && $0["stream"]?.string == "even" && $0["projection"]?.isNull == true
      }
      let share = { (line: JSONValue?) -> Double? in
        guard let stored = line?["storedNumbers"]?.double, let raw = line?["rawNumbers"]?.double else { return nil }
        return stored / raw
      }
      guard let last = streams.last, let after = last["errorAfter"]?.double, let best = last["best"]?.double, best > 0,
        let first = share(streams.first), let stored = share(last)
      else { throw .missing("errorAfter", line: 0, results[0].run) }
      return Findings([
        .statement(
          "recovered to the best error of as many entries", published: "(1 + ε) times",
          measured: Figure.text(after / best, places: 3) + " times", holds: after < 1.1 * best),
        .statement(
          "its share of memory falls as the stream grows", published: "o(n)",
          measured: "\(Figure.text(first, places: 2)) to \(Figure.text(stored, places: 2)) of Q, K and V",
          holds: stored < first / 2,
          reason: "smaller than Q, K and V from about 50,000 tokens on"),
      ])
    })

  private static let sketchSizes = Experiment(
    "sizes", title: "What real heads would take",
    claim: "The size grows with the dimensions to the power of the degree that the size of logits asks for.",
    differences: "Arithmetic, no stream: the features of 64 dimensions and of logits as models have them.",
    runs: { _ in [SluiceRun(["evaluate", "sketch", "--experiment", "size", "--json"])] },
    read: { results throws(RunError) in
      let rows = results[0].lines.compactMap { line -> [String]? in
        guard let dimension = line["dim"]?.integer, let bound = line["bound"]?.double else { return nil }
        return [
          Figure.count(dimension), Figure.text(bound, places: 1),
          line["storedNumbers"]?.double.map { Figure.text($0, places: 0) } ?? "more",
        ]
      }
      let head = results[0].lines.first { $0["dim"]?.integer == 64 && $0["bound"]?.double == 0.5 }
      guard let head else { throw .missing("dim", line: 0, results[0].run) }
      let least = head["leastTokens"]?.double ?? .infinity
      return Findings(
        [
          .statement(
            "worth it for a head of a language model, of 64 dimensions and logits up to 0.5",
            published: "for small logits and few dimensions",
            measured: "smaller than Q, K and V from \(Figure.text(least, places: 0)) tokens on",
            holds: least <= 1_000_000,
            reason: "logits of models deviate by 2 to 3, which takes far more: only the idea is used here, by 'moments'"
          )
        ],
        tables: [
          FindingTable("Numbers of a sketch", headings: ["dimensions", "largest |logit|", "numbers"], rows: rows)
        ])
    })
}
