/// A model's tensors and its description, from a GGUF file or the parts of one, a safetensors file or a Hugging Face
/// directory.
///
/// Opening maps the files and checks everything the headers say; no weight is read. Everything that a `Tensor` gives
/// lies inside its file. A damaged or hostile file throws, naming the tensor or key and the offset.
package final class WeightFile: Sendable {
  package enum Format: Sendable, Hashable {
    case gguf(version: Int)
    case huggingFace
    /// A safetensors file without a `config.json` beside it; the metadata are the strings of its header.
    case safetensors
  }

  package let path: String
  package let format: Format
  package let metadata: Metadata
  /// The mapped files; a tensor's `fileIndex` counts here.
  package let files: [MappedFile]
  private let table: TensorTable
  /// The directory of the model's other files; nil for GGUF, which needs none.
  private let directory: String?

  init(
    path: String, format: Format, metadata: Metadata, files: [MappedFile], table: TensorTable, directory: String?
  ) {
    self.path = path
    self.format = format
    self.metadata = metadata
    self.files = files
    self.table = table
    self.directory = directory
  }

  /// All tensors in the order of the files, with those that cannot be read.
  package var storedTensors: [StoredTensor] { table.tensors }

  /// The names under which tensors are stored; a safetensors file may know further names for them.
  package var tensorNames: [String] { table.tensors.map(\.name) }

  package func hasTensor(_ name: String) -> Bool { table.tensor(name) != nil }

  /// A tensor as the file lists it.
  func storedTensor(_ name: String) -> StoredTensor? { table.tensor(name) }

  /// A tensor by name; throws where there is none or its type cannot be read.
  package func tensor(_ name: String) throws(WeightsError) -> Tensor {
    guard let stored = table.tensor(name) else {
      throw WeightsError(.noSuchTensor, path: path, subject: .tensor(name))
    }
    let file = files[stored.fileIndex]
    guard let type = stored.type.elementType else {
      throw WeightsError(.unsupportedType(stored.type.name), path: file.path, subject: .tensor(name))
    }
    let info = TensorInfo(
      name: name, type: type, shape: stored.shape, fileIndex: stored.fileIndex, byteRange: stored.byteRange)
    return Tensor(info, in: file)
  }

  /// The path of one of the model's other files, such as `generation_config.json`; nil where it is not there.
  package func companion(_ name: String) -> String? {
    guard let path = directory.map({ $0 + "/" + name }), FileKind(of: path) == .file else { return nil }
    return path
  }

  package var tokenizerJSONPath: String? { companion("tokenizer.json") }
  package var tokenizerConfigJSONPath: String? { companion("tokenizer_config.json") }
}

extension WeightFile {
  /// Opens a model by what it contains, whatever its name.
  package static func open(_ path: String) throws(WeightsError) -> WeightFile {
    if FileKind(of: path) == .directory {
      let model = try HuggingFaceDirectory(path)
      return WeightFile(
        path: path, format: .huggingFace, metadata: model.metadata, files: model.files, table: model.table,
        directory: path)
    }
    let file = try MappedFile(path: path)
    if file.bytes.starts(with: GGUFReader.magic) { return try openGGUF(file) }
    // A safetensors file has no magic: its JSON begins after an 8-byte length.
    let looksLikeJSON = file.bytes.count > 8 && file.bytes[8] == UInt8(ascii: "{")
    guard looksLikeJSON || path.hasSuffix(".safetensors") else { throw WeightsError(.unrecognised, path: path) }
    return try openSafetensors(file)
  }

  static func openGGUF(_ file: MappedFile) throws(WeightsError) -> WeightFile {
    let reader = try GGUFReader(file)
    var table = TensorTable()
    for tensor in reader.tensors { try table.add(tensor, path: file.path) }
    let metadata = Metadata(gguf: file, keys: reader.keys, values: reader.values)
    var files = [file]
    if let split = try SplitGGUF(metadata) { try addParts(of: split, to: &table, files: &files) }
    return WeightFile(
      path: file.path, format: .gguf(version: reader.version), metadata: metadata, files: files, table: table,
      directory: nil)
  }

  private static func openSafetensors(_ file: MappedFile) throws(WeightsError) -> WeightFile {
    let reader = try SafetensorsReader(file, fileIndex: 0)
    let table = try reader.table(path: file.path)
    let directory = file.path.lastIndex(of: "/").map { String(file.path[..<$0]) } ?? "."
    let config = directory + "/" + HuggingFaceDirectory.configName
    let described = FileKind(of: config) == .file
    let metadata =
      described ? try HuggingFaceDirectory.config(config) : Metadata(json: reader.metadata, path: file.path)
    return WeightFile(
      path: file.path, format: described ? .huggingFace : .safetensors, metadata: metadata, files: [file],
      table: table, directory: directory)
  }
}
