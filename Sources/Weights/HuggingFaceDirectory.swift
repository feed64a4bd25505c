import ModelJSON

/// Reads a model's directory as Hugging Face lays it out: `config.json` and either `model.safetensors` or the shards
/// that `model.safetensors.index.json` names.
struct HuggingFaceDirectory {
  static let configName = "config.json"
  private static let singleName = "model.safetensors"
  private static let indexName = "model.safetensors.index.json"

  let metadata: Metadata
  private(set) var files: [MappedFile] = []
  private(set) var table = TensorTable()

  init(_ directory: String) throws(WeightsError) {
    guard FileKind(of: directory + "/" + Self.configName) == .file else {
      throw WeightsError(.directoryLacks(Self.configName), path: directory)
    }
    metadata = try Self.config(directory + "/" + Self.configName)
    if FileKind(of: directory + "/" + Self.singleName) != nil {
      let file = try MappedFile(path: directory + "/" + Self.singleName)
      files = [file]
      let reader = try SafetensorsReader(file, fileIndex: 0)
      table = try reader.table(path: file.path)
    } else if FileKind(of: directory + "/" + Self.indexName) != nil {
      try readShards(directory)
    } else {
      throw WeightsError(.directoryLacks("\(Self.singleName) and no \(Self.indexName)"), path: directory)
    }
  }

  static func config(_ path: String) throws(WeightsError) -> Metadata {
    Metadata(json: try object(path), path: path)
  }

  /// Reads a whole JSON file that holds one object; of a repeated member the last one counts, as in Python.
  private static func object(_ path: String) throws(WeightsError) -> JSONObject {
    let file = try MappedFile(path: path)
    let value: JSONValue
    do {
      value = try JSONValue(parsing: file.bytes)
    } catch {
      throw WeightsError(.json(reason: error.description), path: path, offset: error.offset)
    }
    guard let object = value.object else {
      throw WeightsError(.json(reason: "is \(value.kind), not an object"), path: path)
    }
    return object
  }

  /// Opens every shard once and takes from each the tensors that the index places there.
  private mutating func readShards(_ directory: String) throws(WeightsError) {
    let indexPath = directory + "/" + Self.indexName
    guard let map = try Self.object(indexPath)["weight_map"]?.object else {
      throw WeightsError(.json(reason: "has no object weight_map"), path: indexPath)
    }
    var shards: [String: TensorTable] = [:]
    var aliases: [JSONObject] = []
    for (name, value) in map {
      guard let shard = value.string, Self.isPlain(shard) else {
        throw WeightsError(.shardName(value.string ?? value.kind), path: indexPath, subject: .tensor(name))
      }
      if shards[shard] == nil {
        let file = try MappedFile(path: directory + "/" + shard)
        let reader = try SafetensorsReader(file, fileIndex: files.count)
        shards[shard] = try reader.table(path: file.path)
        aliases.append(reader.metadata)
        files.append(file)
      }
      guard let tensor = shards[shard]?.tensor(name) else {
        throw WeightsError(.shardLacksTensor(shard: shard), path: indexPath, subject: .tensor(name))
      }
      try table.add(tensor.renamed(name), path: indexPath)
    }
    for metadata in aliases { table.addAliases(metadata) }
  }

  /// Whether a name stays inside the directory: no separator, no `..`, nothing that ends a path early.
  private static func isPlain(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".."
      && !name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 == 0 }
  }
}
