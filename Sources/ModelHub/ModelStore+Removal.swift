extension ModelStore {
  /// What a removal took away.
  package struct Removal: Sendable, Hashable {
    package let names: [String]
    package let bytes: Int
  }

  /// Removes a pulled model, one quantisation or all of a repository, or a file of this folder by its name.
  ///
  /// Only files that a pull brought are touched, and the folders that are empty then.
  ///
  /// - Throws: `HubError` where nothing of that name is here, or where it is another program's.
  package func remove(_ text: String, cache: HuggingFaceCache) throws(HubError) -> Removal {
    if !text.contains("/") { return try removeFile(text) }
    guard let name = ModelName(text) else { throw HubError(.badName(text)) }
    let folder = folder(name)
    guard StoredFile.isFolder(folder + "/.sluice") else {
      if let model = cache.model(name) { throw HubError(.elsewhere(text, path: model.path)) }
      throw HubError(.notHere(text))
    }
    let lock = try RepositoryLock(folder: folder, repository: name.repositoryName)
    defer { withExtendedLifetime(lock) {} }
    let records = records(name)
    var removed = records
    var kept: [PullRecord] = []
    if name.quantization != nil {
      guard let record = Self.record(name.quantization, among: records) else { throw HubError(.notHere(text)) }
      removed = [record]
      kept = records.filter { $0 != record }
    }
    let keptPaths = Set(kept.flatMap(\.files).map(\.path))
    // The record goes first: a model that is half removed is none.
    try write(kept, of: name)
    var bytes = 0
    for file in removed.flatMap(\.files) where !keptPaths.contains(file.path) {
      bytes += StoredFile.size(folder + "/" + file.path) ?? 0
      try StoredFile.remove(folder + "/" + file.path)
      removeEmptyFolders(from: RepositoryPath.folder(file.path), below: folder)
    }
    if kept.isEmpty {
      for partial in StoredFile.names(in: Self.partials(folder)) {
        bytes += StoredFile.size(Self.partials(folder) + "/" + partial) ?? 0
      }
      try StoredFile.removeTree(folder + "/.sluice")
      removeEmptyFolders(from: name.repositoryName, below: directory)
    }
    let names = removed.map { name.repositoryName + ":" + $0.quantization }
    return Removal(names: names.isEmpty ? [name.repositoryName] : names, bytes: bytes)
  }

  private func removeFile(_ name: String) throws(HubError) -> Removal {
    guard RepositoryPath.isSafe(name) else { throw HubError(.badName(name)) }
    for candidate in [name, name + ".gguf"] where candidate.hasSuffix(".gguf") {
      guard let size = StoredFile.size(directory + "/" + candidate) else { continue }
      try StoredFile.remove(directory + "/" + candidate)
      return Removal(names: [String(candidate.dropLast(5))], bytes: size)
    }
    throw HubError(.notHere(name))
  }

  /// Removes a folder below another while it is empty, and then the one it lies in.
  private func removeEmptyFolders(from path: String?, below root: String) {
    var path = path
    while let folder = path, StoredFile.removeEmptyFolder(root + "/" + folder) { path = RepositoryPath.folder(folder) }
  }
}
