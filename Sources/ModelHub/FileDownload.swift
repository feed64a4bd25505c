import CLibrary

/// Brings one file of a repository here: whole, of the size and digest that the hub listed, or not at all.
///
/// What has arrived lies in a partial file named by the digest. A cut goes on behind it; what is there is read again for the
/// digest, about a second for a gigabyte. Nothing is ever written beyond the listed size.
struct FileDownload {
  let file: RepositoryFile
  let digest: ContentDigest
  let repository: String
  /// Where the content is: the hub's address for this file at its commit.
  let url: HubURL
  let client: HubClient
  /// The repository's folder.
  let folder: String

  private var place: String { folder + "/" + file.path }
  private var partialPath: String { ModelStore.partials(folder) + "/" + digest.text }

  /// Bytes that are here already.
  var bytesHere: Int {
    if StoredFile.size(place) == file.size { return file.size }
    return min(file.size, StoredFile.size(partialPath) ?? 0)
  }

  /// Receives what is missing.
  ///
  /// - Parameter report: told how many bytes of the file are here
  /// - Returns: where the whole file lies until `moveToPlace()`, or its place.
  func run(report: @escaping (Int) -> Void) throws(HubError) -> String {
    if try isInPlace() {
      report(file.size)
      return place
    }
    try StoredFile.makeFolder(ModelStore.partials(folder))
    var mayReadAnew = true
    while true {
      let partial = try PartialFile(partialPath)
      let body = DownloadBody(self, partial: partial, report: report)
      let kept = try body.readKept()
      try receive(body)
      guard let wrong = body.wrongDigest() else {
        try partial.finish()
        return partialPath
      }
      try StoredFile.remove(partialPath)
      // What an earlier pull left may have been damaged since; what came now may not.
      guard kept > 0, mayReadAnew else { throw body.excess ?? wrong }
      mayReadAnew = false
    }
  }

  /// Gives the whole file its name.
  func moveToPlace() throws(HubError) {
    guard StoredFile.size(partialPath) == file.size else { return }
    if let parent = RepositoryPath.folder(place) { try StoredFile.makeFolder(parent) }
    try StoredFile.move(partialPath, to: place)
  }

  /// Whether the file stands in its place already, by its digest.
  private func isInPlace() throws(HubError) -> Bool {
    guard StoredFile.size(place) == file.size else { return false }
    var hasher = ContentHasher(like: digest, size: file.size)
    try PartialFile(place).read { hasher.update($0) }
    return hasher.finalize() == digest
  }

  /// Receives until the file has its size, across cuts.
  private func receive(_ body: DownloadBody) throws(HubError) {
    var mayRefuseRange = true
    while body.partial.count < file.size {
      try client.repeating(progress: { body.partial.count }) { () throws(HubError) in
        guard body.partial.count < file.size else { return }
        let start = body.partial.count
        body.begin()
        do throws(HubError) {
          try client.send(url, fields: start > 0 ? [("Range", "bytes=\(start)-")] : [], to: body)
        } catch {
          // What goes beyond the listed size is dropped, and the digest decides on the rest.
          if body.excess != nil, body.partial.count == file.size { return }
          throw error
        }
        if body.refusesRange { return }
        guard body.partial.count == file.size else {
          throw HubError(
            .broken(host: url.host, reason: "\(file.path) ended after \(body.partial.count) of \(file.size) bytes"))
        }
      }
      guard body.refusesRange else { continue }
      guard mayRefuseRange, body.partial.count > 0 else { throw HubError(.status(416, host: url.host)) }
      mayRefuseRange = false
      try body.startAnew()
    }
  }
}
