import Evaluation
import ModelJSON

/// What is asked of a stream: things that stand in its cache, and things that left it.
extension Experiment {
  static let streamEval = Experiment(
    "stream-eval", title: "StreamEval: answers from the stream",
    claim: """
      Table 7, Llama-2-7B-32K-Instruct, a query every 10 lines, 4+2,044 tokens: 85.8 % right 20 lines back, 75.3 % 80 lines back, \
      0 from 100 lines back on: what is in the cache is found, nothing else.
      """,
    differences: "A small model with the recall adapter, 4+1,020 tokens, which hold about 45 lines.",
    needs: [.recallAdapter],
    runs: { setting in
      [
        setting.recall(
          [
            "--task", "stream-eval", "--lengths", setting.pick(quick: "3000", full: "4000,8000"), "--lines-back",
            setting.pick(quick: "20,60", full: "20,40,60,80,100"), "--cases", setting.pick(quick: "1", full: "5"),
            "--per-point",
          ], caches: ["streaming-llm:4+1020", "full"])
      ]
    },
    read: { results throws(RunError) in
      let caches = try results[0].recallTable(by: "linesBack")
      guard caches.count == 2, let nearest = caches[0].places.first, let farthest = caches[0].places.last else {
        throw .missing("linesBack", line: 0, results[0].run)
      }
      let (near, far, all) = (caches[0].share(nearest), caches[0].share(farthest), caches[1].share(nearest))
      return Findings(
        [
          .statement(
            "answers within the cache are found", published: "0.75 to 0.86",
            measured: "\(near.text); everything kept \(all.text)",
            holds: near.digits >= 0.9 * all.digits && near.digits > 0.5,
            reason: "the model misreads a digit of many: what counts is that the cache loses nothing"),
          .statement(
            "answers that left it are not", published: "0", measured: far.text, holds: far.exact <= 0.1,
            reason: "a bounded window does not remember; the other caches are for that"),
        ],
        tables: [
          FindingTable(
            "Exact answers, with their 95 % interval, and right digits, by lines back",
            headings: ["lines back"] + caches.map(\.name),
            rows: caches[0].places.map { place in [Figure.count(place)] + caches.map { $0.share(place).text } })
        ])
    })

  static let questions = Experiment(
    "questions", title: "Questions one after the other in one stream",
    claim: """
      Table 5, ARC-Easy in one stream, 1,024 slots: Llama-2-7B-Chat answers 71.34 % in the stream, 71.25 % one by one, 3.58 % with a \
      window without sinks; with everything kept it runs out of memory.
      """,
    differences: """
      Made-up questions (StreamEval's queries for the line just before), 512 slots, a model of 135 million parameters with the recall \
      adapter; right digits, since this model seldom reads five in a row without a slip. One by one is the first part of the stream \
      with everything kept. A window is read token by token here, as there.
      """,
    needs: [.recallAdapter],
    runs: { setting in
      [
        setting.recall(
          [
            "--task", "stream-eval", "--lines-back", "1", "--lengths",
            setting.pick(quick: "1000,3000,9000,12000", full: "1000,4000,8000,12000,16000"), "--cases",
            setting.pick(quick: "1", full: "10"), "--per-point",
          ], caches: ["streaming-llm:4+508", "window:512", "full"])
      ]
    },
    read: { results throws(RunError) in
      let caches = try results[0].recallTable()
      guard caches.count == 3, let first = caches[2].places.first, let last = caches[2].places.last, first < last else {
        throw .missing("length", line: 0, results[0].run)
      }
      let alone = caches[2].share(first), end = caches.map { $0.share(last) }
      return Findings(
        [
          .statement(
            "questions in a stream are answered as one by one, digits", published: "0.71 and 0.71",
            measured: Figure.text(end[0].digits, places: 2) + " and " + Figure.text(alone.digits, places: 2),
            holds: end[0].digits >= 0.9 * alone.digits),
          .statement(
            "a window without sinks answers hardly any", published: "0.04",
            measured: Figure.text(end[1].digits, places: 2),
            holds: end[1].digits < 0.5 * alone.digits,
            reason: "a digit is right by chance in a tenth of cases, and a small model breaks more mildly"),
          .statement(
            "with everything kept the stream cannot go on", published: "out of memory",
            measured: "\(Figure.text(end[2].digits, places: 2)) up to \(Figure.count(last)) tokens",
            holds: end[2].digits < 0.5 * alone.digits,
            reason: "memory suffices here; past 8,192 tokens the model was not trained"),
        ],
        tables: [
          FindingTable(
            "Exact answers, with their 95 % interval, and right digits, up to so many tokens of the stream",
            headings: ["tokens"] + caches.map(\.name),
            rows: caches[0].places.map { place in [Figure.count(place)] + caches.map { $0.share(place).text } })
        ])
    })
}
