import Weights

/// A tensor of the model, by the name that GGUF gives it within its layer: `attn_q`.
struct TensorName: Sendable, Hashable {
  let stem: String
  /// Nil outside of the layers.
  let layer: Int?

  init(_ stem: String, layer: Int? = nil) {
    self.stem = stem
    self.layer = layer
  }

  static let embedding = TensorName("token_embd")
  static let output = TensorName("output")

  /// Whether the rotary embedding turns what the matrix makes.
  var isRotated: Bool { stem == "attn_q" || stem == "attn_k" }
}

/// What Hugging Face files call the tensors of a family; GGUF names them alike in all.
struct TensorNames: Sendable {
  /// Several matrices with one input in a single tensor, row after row.
  struct Fused: Sendable {
    let stem: String
    /// Their own stems, in the order of their rows.
    let parts: [String]
    /// How rows go.
    var order = Order.partByPart

    enum Order: Sendable {
      case partByPart
      /// In Hugging Face's files KV head by KV head, each with a share of every part.
      case headByHead
      /// Query head by query head in all files.
      case queryHeadByQueryHead
    }
  }

  /// How Hugging Face files hold the matrices of a layer's experts; GGUF files hold those of all experts in one tensor.
  enum ExpertNames: Sendable {
    /// An expert's module by its number, and within it the three matrices.
    case apart(String, gate: String, up: String, down: String)
    /// All experts' in two tensors, the rows of the gate before those of the other.
    case together(gateAndUp: String, down: String)
    /// As `together`, columns before rows, and rows of gate and other in turns (gpt-oss).
    case transposed(gateAndUp: String, down: String)
  }

  /// Outside of the layers, by the stem.
  private(set) var model: [String: String]
  /// What stands before a layer's number.
  let layers: String
  /// Within a layer, by the stem.
  private(set) var layer: [String: String]
  var fused = [Fused(stem: "attn_qkv", parts: ["attn_q", "attn_k", "attn_v"])]
  var experts: ExpertNames?
  /// Whole names within a layer of what is no module's weight or bias, by "stem.part".
  var whole: [String: String] = [:]

  /// Whole names within a layer of a GGUF file, where they are no stem and part.
  var wholeInGGUF: [String: String] = [:]

  /// What GGUF files hold without `.weight`.
  private static let bareStems: Set<String> = ["ssm_a"]

  /// The name of a tensor's `weight` or `bias` in a file; nil where a file of that kind cannot hold it.
  func text(_ name: TensorName, _ part: String, in format: WeightFile.Format) -> String? {
    if case .gguf = format {
      let prefix = name.layer.map { "blk.\($0)." } ?? ""
      if let whole = wholeInGGUF["\(name.stem).\(part)"] { return prefix + whole }
      let text = prefix + name.stem
      return Self.bareStems.contains(name.stem) ? text : "\(text).\(part)"
    }
    if let layer = name.layer, let whole = whole["\(name.stem).\(part)"] { return "\(layers).\(layer).\(whole)" }
    guard let layer = name.layer else { return model[name.stem].map { "\($0).\(part)" } }
    return self.layer[name.stem].map { "\(layers).\(layer).\($0).\(part)" }
  }
}

/// Where a file may hold a matrix: some rows of a tensor.
struct StoredRows {
  let tensor: TensorName
  /// In the order of the matrix.
  let ranges: [Range<Int>]
  /// Rows of the whole tensor.
  let total: Int
}

extension TensorNames {
  /// Where a file may hold one of the matrices of a group: by itself, or among the rows of a fused tensor.
  ///
  /// - Parameters:
  ///   - heads: KV heads of the layer
  ///   - queryHeads: its query heads
  func places(
    of index: Int, in group: [LayerGraph.Matrix], layer: Int?, format: WeightFile.Format, heads: Int, queryHeads: Int
  ) -> [StoredRows] {
    let matrix = group[index]
    let fused = fused.filter { $0.parts == group.map(\.name) }
    var places: [StoredRows] = []
    // A part that has the name of the whole stands for it.
    if !fused.contains(where: { $0.stem == matrix.name }) {
      places.append(
        StoredRows(tensor: TensorName(matrix.name, layer: layer), ranges: [0..<matrix.rows], total: matrix.rows))
    }
    for fused in fused {
      let isGGUF = if case .gguf = format { true } else { false }
      let shares =
        switch fused.order {
        case .partByPart: 1
        case .headByHead: isGGUF ? 1 : heads
        case .queryHeadByQueryHead: queryHeads
        }
      let total = group.reduce(0) { $0 + $1.rows }
      let (count, offset) = (matrix.rows / shares, group[..<index].reduce(0) { $0 + $1.rows } / shares)
      let ranges = (0..<shares).map { $0 * (total / shares) + offset }.map { $0..<$0 + count }
      places.append(StoredRows(tensor: TensorName(fused.stem, layer: layer), ranges: ranges, total: total))
    }
    return places
  }
}

extension TensorNames {
  /// Those of Llama's Hugging Face files, which most families keep.
  static let usual = TensorNames(
    model: ["token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"],
    layers: "model.layers",
    layer: [
      "attn": "self_attn", "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
      "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
      "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    ])

  /// These, with more or other names within a layer, and outside of the layers.
  func adding(
    _ others: [String: String], model: [String: String] = [:], fused: [Fused] = [], experts: ExpertNames? = nil,
    whole: [String: String] = [:], wholeInGGUF: [String: String] = [:]
  ) -> TensorNames {
    var names = self
    names.layer.merge(others) { $1 }
    names.model.merge(model) { $1 }
    names.fused += fused
    names.experts = experts
    names.whole.merge(whole) { $1 }
    names.wholeInGGUF.merge(wholeInGGUF) { $1 }
    return names
  }
}
