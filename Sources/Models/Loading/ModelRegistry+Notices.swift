package import Weights

extension ModelRegistry {
  /// How a file differs from the plain form of its family and is read all the same, a line each.
  ///
  /// - Throws: as `configuration(of:)` does.
  package static func notices(of file: WeightFile) throws -> [String] {
    let metadata = try ModelMetadata(file)
    let type = try family(of: metadata)
    let layers = try type.init(metadata).configuration.layers.count
    return [otherSenses(file), fusedMatrices(file, type.names, layers: layers)].compactMap(\.self)
  }

  /// What tensors of images and sound have in their names, in Hugging Face's files and in GGUF.
  private static let otherSenses = [
    "vision", "visual", "audio", "multi_modal_projector", "mm_projector", "embed_vision", "embed_audio",
  ]
  private static let otherSensesInGGUF = ["v.", "a.", "mm."]

  private static func otherSenses(_ file: WeightFile) -> String? {
    let isGGUF = if case .gguf = file.format { true } else { false }
    let count = file.tensorNames.count { name in
      isGGUF
        ? otherSensesInGGUF.contains { name.hasPrefix($0) } : otherSenses.contains { name.contains($0) }
    }
    guard count > 0 else { return nil }
    return "text part of a multimodal file; \(count) \(count == 1 ? "tensor" : "tensors") of images or sound ignored"
  }

  /// The kinds of tensors that hold several matrices of a layer, row after row.
  private static func fusedMatrices(_ file: WeightFile, _ names: TensorNames, layers: Int) -> String? {
    func text(_ stem: String, _ layer: Int) -> String? {
      names.text(TensorName(stem, layer: layer), "weight", in: file.format)
    }
    func has(_ stem: String, _ layer: Int) -> Bool {
      guard let name = text(stem, layer) else { return false }
      return file.hasTensor(name)
    }
    var found: [String] = []
    for fused in names.fused {
      let layer = (0..<layers).first { layer in
        has(fused.stem, layer) && !fused.parts.contains { $0 != fused.stem && has($0, layer) }
      }
      guard let layer, let name = text(fused.stem, layer) else { continue }
      let words = name.split(separator: ".").dropLast()
      let short = words.last.map(String.init) ?? name
      if !found.contains(short) { found.append(short) }
    }
    return found.isEmpty ? nil : "fused matrices are read as separate ones: \(found.joined(separator: ", "))"
  }
}
