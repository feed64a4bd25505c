import KVCaches
import Kernels

/// Granite 3 and 4 without recurrent layers, dense and with experts.
///
/// A Llama with four multipliers: of the embedding, of the logits of attention, of what each branch adds, and of the output.
struct Granite: ModelFamily {
  static let ggufName = "granite"
  static let interleavesInGGUF = true
  static let names = TensorNames.usual.adding(
    [
      "ffn_gate_inp": "block_sparse_moe.router.layer", "ffn_down_shexp": "shared_mlp.output_linear",
      "ffn_up_shexp": "shared_mlp.input_linear",
    ],
    fused: [.init(stem: "ffn_up_shexp", parts: ["ffn_gate_shexp", "ffn_up_shexp"])],
    experts: .together(
      gateAndUp: "block_sparse_moe.input_linear.weight", down: "block_sparse_moe.output_linear.weight"))

  let configuration: ModelConfiguration
  let norm: Norm
  let tiesOutput: Bool
  let embeddingScale: Float?
  let outputScale: Float?
  private let sizes: ModelSizes
  private let experts: Experts?
  private let sharedRows: Int
  private let branchScale: Float?

  private typealias Key = ModelMetadata.Key

  init(_ metadata: ModelMetadata) throws {
    sizes = try metadata.sizes()
    try metadata.require(.silu, "SiLU")
    norm = try metadata.rootMeanSquareNorm()
    tiesOutput = try metadata.tiesOutput()
    experts = try metadata.experts(sizes, inner: sizes.feedForward, .silu)
    sharedRows = try metadata.integer(
      Key("expert_shared_feed_forward_length", huggingFace: "shared_intermediate_size"), default: 0)
    embeddingScale = try metadata.factor(Key("embedding_scale", huggingFace: "embedding_multiplier"))
    branchScale = try metadata.factor(Key("residual_scale", huggingFace: "residual_multiplier"))
    outputScale = try metadata.factor(Key("logit_scale", huggingFace: "logits_scaling")).map { 1 / $0 }
    var layer = sizes.layer()
    if try metadata.granitesTurn() {
      try metadata.rotaryPositions(sizes, layout: metadata.isGGUF ? .interleaved : .halves).apply(to: &layer)
    }
    if let scale = try metadata.factor(Key("attention.scale", huggingFace: "attention_multiplier")) {
      layer.scale = scale
    }
    configuration = sizes.configuration(
      metadata.architecture, layers: Array(repeating: layer, count: sizes.layers), experts: experts)
  }

  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    func scaled(_ branch: LayerGraph.Value) -> LayerGraph.Value {
      branchScale.map { graph.scale(branch, by: $0) } ?? branch
    }
    let y = graph.sum(x, scaled(graph.selfAttention(graph.norm(x, "attn_norm"), configuration.layers[index])))
    let normed = graph.norm(y, "ffn_norm")
    guard let experts else {
      // Granite 4 keeps the name of the experts' companion where there are none.
      let fed =
        sharedRows > 0
        ? graph.gatedFeedForward(normed, .silu, rows: sharedRows, suffix: "_shexp")
        : graph.gatedFeedForward(normed, .silu, rows: sizes.feedForward)
      return graph.sum(y, scaled(fed))
    }
    var mixed = graph.routedExperts(normed, experts)
    if sharedRows > 0 {
      mixed = graph.sum(mixed, graph.gatedFeedForward(normed, .silu, rows: sharedRows, suffix: "_shexp"))
    }
    return graph.sum(y, scaled(mixed))
  }
}

extension ModelMetadata {
  /// Whether queries and keys turn; Granite 4 says so by a word.
  ///
  /// - Throws: where some layers do not attend.
  fileprivate func granitesTurn() throws -> Bool {
    guard architecture == "granitemoehybrid" else {
      return try bool(ifPresent: Key("rope.scaling.finetuned")) ?? true
    }
    let types = try strings(ifPresent: Key(huggingFace: "layer_types")) ?? []
    guard !types.isEmpty, types.allSatisfy({ ["attention", "full_attention"].contains($0) }) else {
      throw unsupported(
        "the architecture '\(architecture)' is supported without recurrent layers only: it needs layers of the Mamba kind"
      )
    }
    return try string(ifPresent: Key(huggingFace: "position_embedding_type")) == "rope"
  }
}
