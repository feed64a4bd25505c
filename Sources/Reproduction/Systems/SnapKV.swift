import Evaluation
import ModelJSON

extension Experiment {
  static let snapKV: [Experiment] = [snapDecode, snapMemory, snapNeedle, snapLines]

  private static let snapDecode = Experiment(
    "decode", title: "Writing after a long prompt",
    claim:
      "LWM-Text-Chat-1M (7B), one A100, a prompt of 16,384 tokens cut to 2,048: 3.6 times the tokens a second, batch 2.",
    differences: """
      The model of the command, keys and values filled in, not computed. The gain is the share of bytes that are keys and values: the \
      published baseline copies its cache for every token, this one does not.
      """,
    runs: { setting in
      ["full", "snapkv:2048"].map { cache in
        setting.bench([
          "--fill", "--depth", "16384", "--prefill", "8", "--decode", setting.pick(quick: "24", full: "96"),
          "--sequences",
          "2", "--rounds", setting.pick(quick: "1", full: "5"), "--cache", cache,
        ])
      }
    },
    read: { results throws(RunError) in
      let one = try results[1].number("decodeTokensPerSecond") / results[0].number("decodeTokensPerSecond")
      let two =
        try results[1].number("batchedDecodeTokensPerSecond") / results[0].number("batchedDecodeTokensPerSecond")
      return Findings([
        .number("tokens a second beside everything kept, batch 2", published: 3.6, measured: two, places: 2, unit: "×"),
        .number(
          "the same, one sequence", published: 3.6, measured: one, places: 2, unit: "×",
          reason: "published for batch 2; with one sequence weights are a larger share of what is read"),
      ])
    })

  private static let snapMemory = Experiment(
    "memory", title: "Memory after and during a long prompt",
    claim:
      "Batch 2 on one A100: 131,000 tokens fit where 16,000 did: 8.2 times. 380,000 tokens fit, cut to 1,024, layer by layer.",
    differences:
      "Bytes of the cache on the same prompt, instead of what fits: the ratio of the longest prompts follows from it.",
    needs: [.recallAdapter],
    runs: { setting in
      [
        setting.recall(
          [
            "--task", "needle", "--lengths", setting.pick(quick: "8000", full: "16000"), "--depths", "0.5", "--cases",
            "1",
          ], caches: ["full", "snapkv:1024[order=layer-major]"])
      ]
    },
    read: { results throws(RunError) in
      let bytes = try results[0].numbers("cacheBytesPeak")
      guard bytes.count == 2 else { throw .missing("cacheBytesPeak", line: bytes.count, results[0].run) }
      return Findings([
        .number(
          "less memory at its peak, while the prompt is read", published: 8.2, measured: bytes[0] / bytes[1], unit: "×",
          reason: "\(Figure.mebibytes(bytes[0])) and \(Figure.mebibytes(bytes[1])); it grows with the prompt")
      ])
    })

  private static let snapNeedle = Experiment(
    "needle", title: "A needle in a long prompt",
    claim:
      "Needle test up to 380,000 tokens, 1,024 kept (window 16, pooling 5): perfect up to 140,000, a small drop after.",
    differences: "Up to the trained length of the model, with the recall adapter; full keeps everything.",
    needs: [.recallAdapter],
    runs: { setting in
      [
        setting.recall(
          [
            "--task", "needle", "--lengths", setting.pick(quick: "2000,4000", full: "2000,4000,8000"), "--cases",
            setting.pick(quick: "2", full: "5"), "--per-point",
          ], caches: ["full", "snapkv:1024[window=16,kernel=5]", "snapkv:256[window=16,kernel=5]"])
      ]
    },
    read: { results throws(RunError) in
      let caches = try results[0].recallTable()
      guard caches.count == 3 else { throw .missing("cache", line: 0, results[0].run) }
      let (full, kept) = (caches[0].all, caches[1].all)
      return Findings(
        [
          .statement(
            "1,024 tokens keep the needle", published: "as everything kept",
            measured: "\(kept.text); everything kept \(full.text)", holds: kept.exact >= full.exact - 0.05)
        ],
        tables: [
          FindingTable(
            "Whole numbers, with their 95 % interval, and right digits", headings: ["tokens"] + caches.map(\.name),
            rows: caches[0].places.map { length in [Figure.count(length)] + caches.map { $0.share(length).text } })
        ])
    })

  private static let snapLines = Experiment(
    "lines", title: "Lines of a record",
    claim: "LongEval lines, Mistral-7B: right up to 16,000 tokens with pooling, much worse without.",
    differences: "Records of 2,000 tokens, 512 kept, the recall adapter; a random choice as what has to be beaten.",
    needs: [.recallAdapter],
    runs: { setting in
      [
        setting.recall(
          [
            "--task", "lines", "--lengths", "2000", "--depths", "0.1,0.3,0.5,0.7,0.9", "--cases",
            setting.pick(quick: "2", full: "8"), "--per-point",
          ],
          caches: [
            "full", "snapkv:512", "snapkv:512[kernel=1]", "snapkv:512[choose=random]", "streaming-llm:4+508",
          ])
      ]
    },
    read: { results throws(RunError) in
      let caches = try results[0].recallTable()
      guard caches.count == 5 else { throw .missing("cache", line: 0, results[0].run) }
      let shares = caches.map(\.all)
      return Findings(
        [
          .statement(
            "votes keep what is asked for", published: "right up to 16,000 tokens", measured: shares[1].text,
            holds: shares[1].exact >= 0.9 * shares[0].exact),
          .statement(
            "a random choice of the same size does not", published: "much worse", measured: shares[3].text,
            holds: shares[3].interval.upper < shares[1].interval.lower || shares[3].exact < 0.5 * shares[1].exact),
          .statement(
            "pooling helps", published: "much worse without", measured: "\(shares[2].text) without",
            holds: shares[2].exact < shares[1].exact,
            reason: shares[2].interval.upper > shares[1].interval.lower ? "intervals overlap: more cases decide" : ""),
        ],
        tables: [
          FindingTable(
            "Whole numbers, with their 95 % interval, and right digits", headings: ["cache", "found"],
            rows: zip(caches, shares).map { [$0.name, $1.text] })
        ])
    })
}
