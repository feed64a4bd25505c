import Testing
import Weights

@testable import Models

/// Names of tensors in both kinds of files, and the rows of fused ones.
struct TensorNamesTests {
  private static let group = [
    LayerGraph.Matrix("attn_q", rows: 24), LayerGraph.Matrix("attn_k", rows: 6), LayerGraph.Matrix("attn_v", rows: 6),
  ]

  @Test func `names in both kinds of files`() {
    let names = Llama.names
    let query = TensorName("attn_q", layer: 3)
    #expect(names.text(query, "weight", in: .gguf(version: 3)) == "blk.3.attn_q.weight")
    #expect(names.text(query, "bias", in: .huggingFace) == "model.layers.3.self_attn.q_proj.bias")
    #expect(names.text(.output, "weight", in: .gguf(version: 3)) == "output.weight")
    #expect(names.text(.output, "weight", in: .huggingFace) == "lm_head.weight")
    #expect(names.text(TensorName("attn_qkv", layer: 0), "weight", in: .huggingFace) == nil)
  }

  /// Every row of the fused tensor belongs to one matrix, once.
  @Test(arguments: [true, false], [1, 2, 3, 6])
  func `fused rows are divided among their matrices`(goesByHead: Bool, heads: Int) {
    var names = Llama.names
    names.fused = [
      .init(stem: "attn_qkv", parts: ["attn_q", "attn_k", "attn_v"], order: goesByHead ? .headByHead : .partByPart)
    ]
    for format in [WeightFile.Format.gguf(version: 3), .huggingFace] {
      let places = Self.group.indices.map {
        names.places(of: $0, in: Self.group, layer: 0, format: format, heads: heads, queryHeads: 8)
      }
      #expect(places.map { $0[0].tensor.stem } == ["attn_q", "attn_k", "attn_v"])
      let fused = places.map { $0[1] }
      #expect(fused.allSatisfy { $0.tensor.stem == "attn_qkv" && $0.total == 36 })
      #expect(fused.flatMap(\.ranges).joined().sorted() == Array(0..<36))
      #expect(fused.map { $0.ranges.joined().count } == [24, 6, 6])
      let byHead = goesByHead && format == .huggingFace
      #expect(fused[0].ranges.count == (byHead ? heads : 1))
      #expect(fused[1].ranges[0].lowerBound == (byHead ? 24 / heads : 24))
    }
  }

  @Test func `a group that is not fused has one place`() {
    let gate = [LayerGraph.Matrix("ffn_gate", rows: 4), LayerGraph.Matrix("ffn_up", rows: 4)]
    #expect(Llama.names.places(of: 1, in: gate, layer: 0, format: .huggingFace, heads: 2, queryHeads: 8).count == 1)
  }
}
