import ModelJSON

/// The cache of Hugging Face's own programs, which is read and never changed:
/// `models--OWNER--REPO/refs/main` names a commit, `snapshots/COMMIT/` has its files.
package struct HuggingFaceCache: Sendable {
  /// Nil where the environment names no place.
  let directory: String?

  package init(environment: [String: String]) {
    directory =
      environment.value("HF_HUB_CACHE") ?? environment.value("HUGGINGFACE_HUB_CACHE")
      ?? Self.home(environment).map { $0 + "/hub" }
  }

  static func home(_ environment: [String: String]) -> String? {
    if let home = environment.value("HF_HOME") { return home }
    if let cache = environment.value("XDG_CACHE_HOME") { return cache + "/huggingface" }
    return environment.value("HOME").map { $0 + "/.cache/huggingface" }
  }

  /// A model of which all files are there; nil where there is none.
  ///
  /// - Parameter surely: whether a name without quantisation must be what the hub would choose, not only the best of what is here
  func model(_ name: ModelName, surely: Bool = false) -> PulledModel? {
    guard let snapshot = snapshot(name) else { return nil }
    let files = Self.files(in: snapshot)
    // A choice that cannot be made among what is here is no error of this cache: the hub may have more.
    guard let selection = try? ModelSelection.choose(name.quantization, among: files, repository: name.repositoryName)
    else { return nil }
    switch selection {
    case .gguf(let model, let quantization):
      if surely, name.quantization == nil, quantization != ModelSelection.preferred[0] { return nil }
      return Self.model(model, quantization, of: name, in: snapshot)
    case .directory(let first, let index):
      return Self.directory(first, index: index, among: files, of: name, in: snapshot)
    }
  }

  /// All models of which all files are there.
  package func models() -> [PulledModel] {
    guard let directory else { return [] }
    var models: [PulledModel] = []
    for entry in StoredFile.names(in: directory) where entry.hasPrefix("models--") {
      let words = entry.split(separator: "-", omittingEmptySubsequences: false).dropFirst(2).joined(separator: "-")
      guard let end = words.firstRange(of: "--") else { continue }
      guard let name = ModelName(words[..<end.lowerBound] + "/" + words[end.upperBound...]),
        let snapshot = snapshot(name)
      else { continue }
      let files = Self.files(in: snapshot)
      let ggufs = GGUFModel.models(among: files).filter(\.isWhole)
      let labels = ModelSelection.uniqueNames(ggufs)
      models += ggufs.map { Self.model($0, labels[$0] ?? $0.name, of: name, in: snapshot) }
      if case .directory(let first, let index)? = ModelSelection.directory(files),
        let model = Self.directory(first, index: index, among: files, of: name, in: snapshot)
      {
        models.append(model)
      }
    }
    return models
  }

  private func snapshot(_ name: ModelName) -> String? {
    guard let directory else { return nil }
    let folder = directory + "/models--\(name.owner)--\(name.repository)"
    guard let bytes = try? StoredFile.contents(of: folder + "/refs/main", limit: 256) else { return nil }
    let commit = String(decoding: bytes, as: UTF8.self).prefix { !$0.isWhitespace }
    guard RepositoryPath.isSafe(String(commit)), !commit.contains("/") else { return nil }
    let snapshot = folder + "/snapshots/" + commit
    return StoredFile.isFolder(snapshot) ? snapshot : nil
  }

  /// The files below a folder; links count as what they lead to.
  private static func files(in folder: String, below prefix: String = "", depth: Int = 0) -> [RepositoryFile] {
    StoredFile.names(in: folder).flatMap { name -> [RepositoryFile] in
      switch StoredFile.kind(folder + "/" + name) {
      case .file(let bytes): [RepositoryFile(path: prefix + name, size: bytes, digest: nil)]
      case .folder where depth < 4: files(in: folder + "/" + name, below: prefix + name + "/", depth: depth + 1)
      default: []
      }
    }
  }

  private static func model(
    _ model: GGUFModel, _ quantization: String, of name: ModelName, in snapshot: String
  ) -> PulledModel {
    PulledModel(
      name: name.repositoryName + ":" + quantization, path: snapshot + "/" + model.parts[0].path,
      size: model.parts.reduce(0) { $0 + $1.size }, place: .huggingFaceCache)
  }

  private static func directory(
    _ first: [RepositoryFile], index: RepositoryFile?, among files: [RepositoryFile], of name: ModelName,
    in snapshot: String
  ) -> PulledModel? {
    var all = first
    if let index {
      guard let names = try? ShardIndex.shards(at: snapshot + "/" + index.path),
        let shards = try? ModelSelection.shards(names, among: files, repository: name.repositoryName)
      else { return nil }
      all += shards
    }
    return PulledModel(
      name: name.repositoryName + ":" + ModelSelection.directoryName, path: snapshot,
      size: all.reduce(0) { $0 + $1.size }, place: .huggingFaceCache)
  }
}
