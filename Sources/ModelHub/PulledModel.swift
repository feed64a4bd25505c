import ModelJSON

/// A model that lies on this machine, all of its files.
package struct PulledModel: Sendable, Hashable {
  /// Its full name, quantisation included; of a file that came without a hub the file's name stands alone.
  package let name: String
  /// What `-m` opens: the (first) GGUF file, or the directory.
  package let path: String
  /// Bytes of all its files.
  package let size: Int
  package let place: Place

  package enum Place: String, Sendable {
    /// Kept by `sluice pull`.
    case pulled
    /// A GGUF file that was put into the folder, as `Scripts/fetch-model` does.
    case file
    /// Kept by Hugging Face's own programs, only read here.
    case huggingFaceCache
  }
}

/// What a pull brought, as the store writes it down once every file is whole.
struct PullRecord: Sendable, Hashable {
  let quantization: String
  /// Whether this is what the repository's name means without a quantisation.
  var isDefault: Bool
  let revision: String
  let commit: String
  let files: [RepositoryFile]

  var isDirectory: Bool { quantization == ModelSelection.directoryName }
  var size: Int { files.reduce(0) { $0 + $1.size } }

  /// Whether every file stands in a folder in its full size; files get their names only once their digests are right.
  func isComplete(in folder: String) -> Bool {
    files.allSatisfy { StoredFile.size(folder + "/" + $0.path) == $0.size }
  }

  /// What `-m` opens.
  func path(in folder: String) -> String { isDirectory ? folder : folder + "/" + files[0].path }
}

extension PullRecord {
  var json: JSONValue {
    let files = files.map { file -> JSONValue in
      [
        "path": JSONValue(file.path), "size": JSONValue(file.size),
        "digest": file.digest.map { JSONValue($0.text) } ?? .null,
      ]
    }
    return [
      "quantization": JSONValue(quantization), "isDefault": JSONValue(isDefault), "revision": JSONValue(revision),
      "commit": JSONValue(commit), "files": .array(files),
    ]
  }

  /// Reads a record; nil where a part is missing or a path would lead out of the folder.
  init?(_ json: JSONValue) {
    guard let quantization = json["quantization"]?.string, let isDefault = json["isDefault"]?.bool,
      let revision = json["revision"]?.string, let commit = json["commit"]?.string,
      let entries = json["files"]?.array, !entries.isEmpty
    else { return nil }
    var files: [RepositoryFile] = []
    for entry in entries {
      guard let path = entry["path"]?.string, RepositoryPath.isSafe(path), let size = entry["size"]?.integer, size >= 0
      else { return nil }
      files.append(
        RepositoryFile(path: path, size: size, digest: entry["digest"]?.string.flatMap { ContentDigest($0) }))
    }
    self.init(quantization: quantization, isDefault: isDefault, revision: revision, commit: commit, files: files)
  }
}
