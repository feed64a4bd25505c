import ModelJSON

/// The file `model.safetensors.index.json`, which says in which shard each tensor is.
enum ShardIndex {
  /// The names of all shards, each once.
  static func shards(at path: String) throws(HubError) -> [String] {
    let bytes = try StoredFile.contents(of: path, limit: 256 << 20)
    let json: JSONValue
    do {
      json = try JSONValue(parsing: bytes)
    } catch {
      throw HubError(.file(path, reason: error.description))
    }
    guard let map = json["weight_map"]?.object, !map.isEmpty else {
      throw HubError(.file(path, reason: "has no object weight_map"))
    }
    var names: Set<String> = []
    for (tensor, value) in map {
      guard let name = value.string else {
        throw HubError(.file(path, reason: "the place of '\(tensor)' is no file's name"))
      }
      names.insert(name)
    }
    return names.sorted()
  }
}
