package import Weights

/// A low-rank adapter (LoRA, [arXiv 2106.09685](https://arxiv.org/abs/2106.09685)) as its file describes it.
///
/// It adds scale · B · (A · x) to the products of some matrices, with A `[rank, column]` and B `[row, rank]`. A PEFT file
/// names them `base_model.model.MODULE.lora_A.weight` and `…lora_B.weight`, a GGUF file `TENSOR.lora_a` and `….lora_b`.
/// One that teaches a model to read a compressive memory brings gates too, and says in its description what they are for.
/// Making one reads no weights.
package struct LowRankAdapter: Sendable {
  /// The matrix that a pair of tensors adapts.
  package struct Module: Sendable {
    /// The module's name in PEFT's files, the tensor's in GGUF.
    package let name: String
    let down: StoredTensor
    let up: StoredTensor
    package var rank: Int { down.shape[0] }
    /// Its kind, the same in every layer: `q_proj`, `attn_q`.
    package var kind: String {
      let path = name.hasSuffix(".weight") ? name.dropLast(".weight".count) : name[...]
      return path.split(separator: ".").last.map { String($0) } ?? name
    }
  }

  /// What a pair of tensors is multiplied by.
  struct Strength: Sendable {
    /// Nil multiplies by 1.
    var alpha: Double?
    /// Alphas of single modules by the ends of their names; the first that fits counts.
    var alphas: [(name: String, value: Double)] = []
    /// alpha / √rank ("rank-stabilised", [arXiv 2312.03732](https://arxiv.org/abs/2312.03732)) in place of alpha / rank.
    var dividesByRoot = false

    func scale(of module: Module) -> Double {
      let alpha = alphas.first { module.name == $0.name || module.name.hasSuffix("." + $0.name) }?.value ?? alpha
      let rank = Double(module.rank)
      return alpha.map { $0 / (dividesByRoot ? rank.squareRoot() : rank) } ?? 1
    }
  }

  package let file: WeightFile
  /// What the user multiplies its effect by.
  package let scale: Double
  /// In the order of the file.
  package let modules: [Module]
  /// Gates of a compressive memory, one tensor a layer, by the names that a model's file would have for them.
  package let gates: [String: StoredTensor]
  private let strength: Strength

  /// Checks an adapter's description and pairs its tensors.
  ///
  /// - Parameter file: from `WeightFile.openAdapter`.
  /// - Throws: `WeightsError` for a missing or mistyped key, `ModelError` for what cannot be applied.
  package init(_ file: WeightFile, scale: Double = 1) throws {
    guard scale.isFinite else { throw ModelError.badValue("scale", "must be finite, but is \(scale)", in: file.path) }
    self.file = file
    self.scale = scale
    let modelPrefix = "base_model.model."
    switch file.format {
    case .gguf:
      strength = try .gguf(file)
      gates = Self.gates(of: file, end: ".attn_infini_gate.weight", prefix: "")
      modules = try Self.pairs(of: file, down: ".lora_a", up: ".lora_b", prefix: "", besides: gates)
    case .huggingFace, .safetensors:
      strength = try .peft(file)
      gates = Self.gates(of: file, end: ".infini_gate", prefix: modelPrefix)
      modules = try Self.pairs(
        of: file, down: ".lora_A.weight", up: ".lora_B.weight", prefix: modelPrefix, besides: gates)
    }
  }

  /// The factor of B · (A · x) for a module: the file's alpha by the rank, times the user's scale.
  package func scale(of module: Module) -> Double { scale * strength.scale(of: module) }

  /// The largest rank that is believed, several times that of any adapter in use.
  private static let rankLimit = 1 << 14

  private static func gates(of file: WeightFile, end: String, prefix: String) -> [String: StoredTensor] {
    var gates: [String: StoredTensor] = [:]
    for tensor in file.storedTensors where tensor.name.hasSuffix(end) {
      gates[String(tensor.name.hasPrefix(prefix) ? tensor.name.dropFirst(prefix.count) : tensor.name[...])] = tensor
    }
    return gates
  }

  private static func pairs(
    of file: WeightFile, down: String, up: String, prefix: String, besides gates: [String: StoredTensor]
  ) throws -> [Module] {
    let others = Set(gates.values.map(\.name))
    var modules: [Module] = []
    var tensors: [String: StoredTensor] = [:]
    for tensor in file.storedTensors { tensors[tensor.name] = tensor }
    for tensor in file.storedTensors where !others.contains(tensor.name) {
      let isUp = tensor.name.hasSuffix(up)
      guard isUp || tensor.name.hasSuffix(down) else {
        throw ModelError.unusableTensor(tensor.name, "is no factor of a linear layer's adapter", in: file.path)
      }
      let stem = tensor.name.dropLast((isUp ? up : down).count)
      guard let partner = tensors[stem + (isUp ? down : up)] else {
        throw ModelError.unusableTensor(
          tensor.name, "has no partner '\(stem + (isUp ? down : up))'", in: file.path)
      }
      if isUp { continue }
      try check(tensor, partner, in: file)
      let name = String(stem.hasPrefix(prefix) ? stem.dropFirst(prefix.count) : stem)
      // Models of text and images hold their text model under this name.
      modules.append(Module(name: name.replacing("language_model.", with: ""), down: tensor, up: partner))
    }
    guard !modules.isEmpty || !gates.isEmpty else {
      throw ModelError.unsupported("holds no low-rank factors", in: file.path)
    }
    return modules
  }

  private static func check(_ down: StoredTensor, _ up: StoredTensor, in file: WeightFile) throws {
    for tensor in [down, up] where tensor.shape.count != 2 {
      throw ModelError.unusableTensor(tensor.name, "has shape \(tensor.shape), but a factor is a matrix", in: file.path)
    }
    guard down.shape[0] <= rankLimit else {
      throw ModelError.unusableTensor(
        down.name, "has rank \(down.shape[0]); at most \(rankLimit) is possible", in: file.path)
    }
    guard down.shape[0] >= 1, up.shape[1] == down.shape[0] else {
      throw ModelError.unusableTensor(
        up.name, "has shape \(up.shape), but its partner '\(down.name)' has rank \(down.shape[0])", in: file.path)
    }
  }
}
