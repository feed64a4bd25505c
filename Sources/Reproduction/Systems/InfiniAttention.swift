import Evaluation
import ModelJSON

extension Experiment {
  static let infini: [Experiment] = [infiniMemory]

  private static let infiniMemory = Experiment(
    "memory", title: "Memory beside everything kept",
    claim:
      "Table 1: 1.6 M numbers of memory instead of 183 M for a Memorizing Transformer over 65,000 tokens: 114 times less.",
    differences: """
      The cache of this model beside its full cache over as many tokens, both with the local segment in it; the paper counts neither its \
      segment nor its model's weights.
      """, needs: [.infiniModel],
    runs: { setting in
      let words = setting.modelWords(setting.infiniModel).prefix(2)
      return [SluiceRun(["inspect"] + words + ["--cache", "infini", "--json"])]
    },
    read: { results throws(RunError) in
      let infini = try results[0].number("cacheBytes")
      // Keys and values of halves.
      let token =
        try 4 * results[0].number("layers") * results[0].number("keyValueHeads") * results[0].number("headDim")
      let full = 65_536 * token
      let stages = results[0].lines.first?["stages"]?.array ?? []
      let matrix = stages.last?["bytes"]?.double ?? 0
      return Findings([
        .number(
          "less memory over 65,536 tokens, the segment counted", published: 114, measured: full / infini, places: 0,
          unit: "×"),
        .number(
          "the same without the segment", published: 114, measured: full / max(matrix, 1), places: 0, unit: "×",
          reason: "\(Figure.count(Int(matrix))) bytes of matrices in float32, whatever was read"),
      ])
    })
}
