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
    /// Whether Hugging Face's rows go KV head by KV head, each with a share of every part.
    var goesByHead = false
  }

  /// Outside of the layers, by the stem.
  let model: [String: String]
  /// What stands before a layer's number.
  let layers: String
  /// Within a layer, by the stem.
  let layer: [String: String]
  var fused = [Fused(stem: "attn_qkv", parts: ["attn_q", "attn_k", "attn_v"])]

  /// The name of a tensor's `weight` or `bias` in a file; nil where a file of that kind cannot hold it.
  func text(_ name: TensorName, _ part: String, in format: WeightFile.Format) -> String? {
    if case .gguf = format { return (name.layer.map { "blk.\($0)." } ?? "") + "\(name.stem).\(part)" }
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
  /// - Parameter heads: KV heads of the layer
  func places(
    of index: Int, in group: [LayerGraph.Matrix], layer: Int?, format: WeightFile.Format, heads: Int
  ) -> [StoredRows] {
    let matrix = group[index]
    var places = [
      StoredRows(tensor: TensorName(matrix.name, layer: layer), ranges: [0..<matrix.rows], total: matrix.rows)
    ]
    for fused in fused where fused.parts == group.map(\.name) {
      let isGGUF = if case .gguf = format { true } else { false }
      let shares = fused.goesByHead && !isGGUF ? heads : 1
      let total = group.reduce(0) { $0 + $1.rows }
      let (count, offset) = (matrix.rows / shares, group[..<index].reduce(0) { $0 + $1.rows } / shares)
      let ranges = (0..<shares).map { $0 * (total / shares) + offset }.map { $0..<$0 + count }
      places.append(StoredRows(tensor: TensorName(fused.stem, layer: layer), ranges: ranges, total: total))
    }
    return places
  }
}
