extension WeightFile {
  private static let adapterConfigName = "adapter_config.json"
  private static let adapterTensorsName = "adapter_model.safetensors"

  /// Opens an adapter: a directory as PEFT writes it, the safetensors file in it, or a GGUF file.
  ///
  /// PEFT's has the format `.huggingFace`, and its `adapter_config.json` for metadata. As with `open`, everything that the
  /// headers say is checked and no weight is read.
  package static func openAdapter(_ path: String) throws(WeightsError) -> WeightFile {
    if FileKind(of: path) == .directory {
      return try openAdapter(path, tensors: path + "/" + adapterTensorsName, directory: path)
    }
    let file = try MappedFile(path: path)
    if file.bytes.starts(with: GGUFReader.magic) { return try openGGUF(file) }
    guard path.hasSuffix(".safetensors") else { throw WeightsError(.unrecognised, path: path) }
    let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    return try openAdapter(path, tensors: path, directory: directory)
  }

  private static func openAdapter(
    _ path: String, tensors: String, directory: String
  ) throws(WeightsError) -> WeightFile {
    let config = directory + "/" + adapterConfigName
    guard FileKind(of: config) == .file else { throw WeightsError(.adapterLacks(adapterConfigName), path: directory) }
    guard FileKind(of: tensors) != nil else { throw WeightsError(.adapterLacks(adapterTensorsName), path: directory) }
    let metadata = try HuggingFaceDirectory.config(config)
    let file = try MappedFile(path: tensors)
    let reader = try SafetensorsReader(file, fileIndex: 0)
    return WeightFile(
      path: path, format: .huggingFace, metadata: metadata, files: [file], table: try reader.table(path: tensors),
      directory: directory)
  }
}
