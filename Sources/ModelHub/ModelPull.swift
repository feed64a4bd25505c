/// `sluice pull`: from a name to files on this machine.
///
/// Nothing is asked of the hub where all files are here. Otherwise the repository's newest commit is what counts: its files are
/// received, checked, and moved to their places together, so that a model is never half an old and half a new one.
package struct ModelPull: Sendable {
  let store: ModelStore
  let cache: HuggingFaceCache
  let client: HubClient

  package init(store: ModelStore, cache: HuggingFaceCache, client: HubClient) {
    self.store = store
    self.cache = cache
    self.client = client
  }

  /// How far a pull has come.
  package struct Progress: Sendable, Hashable {
    /// The file that arrives, and its place among all.
    package let file: String
    package let number: Int
    package let count: Int
    /// Bytes of all files, and those that are here.
    package let bytes: Int
    package let total: Int

    package init(file: String, number: Int, count: Int, bytes: Int, total: Int) {
      self.file = file
      self.number = number
      self.count = count
      self.bytes = bytes
      self.total = total
    }
  }

  package struct Result: Sendable, Hashable {
    package let model: PulledModel
    /// Whether everything was here before, and the hub was not asked.
    package let wasHere: Bool
  }

  /// - Parameters:
  ///   - revision: a branch, tag or commit
  ///   - refresh: asks the hub whatever is here
  package func run(
    _ name: ModelName, revision: String = "main", refresh: Bool = false, report: @escaping (Progress) -> Void = { _ in }
  ) throws(HubError) -> Result {
    if !refresh, let model = try modelHere(name, revision: revision) { return Result(model: model, wasHere: true) }
    let repository = name.repositoryName
    // Nothing is written, not even the lock's folder, for a repository that is not there.
    let listing = try RepositoryListing.fetch(repository, revision: revision, from: client)
    let selection = try ModelSelection.choose(name.quantization, among: listing.files, repository: repository)
    let folder = store.folder(name)
    let lock = try RepositoryLock(folder: folder, repository: repository)
    defer { withExtendedLifetime(lock) {} }
    let files: [RepositoryFile]
    let quantization: String
    switch selection {
    case .gguf(let model, let label): (files, quantization) = (model.parts, label)
    case .directory(let first, let index):
      quantization = ModelSelection.directoryName
      guard let index else {
        files = first
        break
      }
      let download = try download(index, listing.commit, repository, folder)
      let names = try ShardIndex.shards(at: download.run { _ in })
      files = try first + ModelSelection.shards(names, among: listing.files, repository: repository)
    }
    var downloads: [FileDownload] = []
    for file in files { downloads.append(try download(file, listing.commit, repository, folder)) }
    try receive(downloads, folder: folder, report: report)
    for download in downloads { try download.moveToPlace() }
    var record = PullRecord(
      quantization: quantization, isDefault: name.quantization == nil, revision: revision, commit: listing.commit,
      files: downloads.map(\.file))
    try note(&record, of: name)
    removePartials(listing, folder: folder)
    return Result(model: store.model(record, of: name), wasHere: false)
  }

  /// What needs no hub. Without a quantisation it must be what the hub chose once, not only what is here.
  private func modelHere(_ name: ModelName, revision: String) throws(HubError) -> PulledModel? {
    let folder = store.folder(name)
    let records = store.records(name).filter { $0.revision == revision }
    let record = name.quantization == nil ? records.first(where: \.isDefault) : try store.resolve(name, records)
    if let record, record.isComplete(in: folder) { return store.model(record, of: name) }
    return revision == "main" ? cache.model(name, surely: true) : nil
  }

  private func download(
    _ file: RepositoryFile, _ commit: String, _ repository: String, _ folder: String
  ) throws(HubError) -> FileDownload {
    guard RepositoryPath.isSafe(file.path) else { throw HubError(.unsafePath(file.path, repository: repository)) }
    let path = "/\(repository)/resolve/\(commit)/" + RepositoryPath.escaped(file.path)
    guard let url = client.access.url(path) else { throw HubError(.unsafePath(file.path, repository: repository)) }
    let digest: ContentDigest
    if let listed = file.digest {
      digest = listed
    } else {
      digest = try LinkedDigest.ask(url, client: client, file: file.path, repository: repository)
    }
    return FileDownload(
      file: RepositoryFile(path: file.path, size: file.size, digest: digest), digest: digest, repository: repository,
      url: url, client: client, folder: folder)
  }

  private func receive(
    _ downloads: [FileDownload], folder: String, report: @escaping (Progress) -> Void
  ) throws(HubError) {
    let total = downloads.reduce(0) { $0 + $1.file.size }
    let missing = total - downloads.reduce(0) { $0 + $1.bytesHere }
    if let free = StoredFile.freeBytes(folder), missing > free {
      throw HubError(.noRoom(folder: folder, needed: missing, free: free))
    }
    var before = 0
    for (index, download) in downloads.enumerated() {
      let start = before
      _ = try download.run { bytes in
        report(
          Progress(
            file: download.file.path, number: index + 1, count: downloads.count, bytes: start + bytes, total: total))
      }
      before += download.file.size
    }
  }

  /// Writes the record down in place of its predecessor, and removes files that only that one had.
  private func note(_ record: inout PullRecord, of name: ModelName) throws(HubError) {
    var records = store.records(name)
    let old = ModelStore.record(record.quantization, among: records)
    records.removeAll { $0.quantization == record.quantization }
    if old?.isDefault == true { record.isDefault = true }
    if record.isDefault { for index in records.indices { records[index].isDefault = false } }
    records.append(record)
    try store.write(records, of: name)
    let kept = Set(records.flatMap(\.files).map(\.path))
    for file in old?.files ?? [] where !kept.contains(file.path) {
      try StoredFile.remove(store.folder(name) + "/" + file.path)
    }
  }

  /// Removes what an earlier commit's files left half; what is left of other quantisations of this commit stays.
  private func removePartials(_ listing: RepositoryListing, folder: String) {
    let known = Set(listing.files.compactMap { $0.digest?.text })
    let partials = ModelStore.partials(folder)
    for name in StoredFile.names(in: partials) where !known.contains(name) {
      // What cannot be removed is in nobody's way.
      try? StoredFile.remove(partials + "/" + name)
    }
  }
}
