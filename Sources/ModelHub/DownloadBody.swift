/// Takes a body into the partial file, and the digest with it.
final class DownloadBody: HTTPReceiver {
  private let download: FileDownload
  let partial: PartialFile
  private let report: (Int) -> Void
  private var hasher: ContentHasher
  private(set) var refusesRange = false
  /// Set where the hub sends more than it listed.
  private(set) var excess: HubError?

  private var file: RepositoryFile { download.file }

  init(_ download: FileDownload, partial: PartialFile, report: @escaping (Int) -> Void) {
    self.download = download
    self.partial = partial
    self.report = report
    hasher = ContentHasher(like: download.digest, size: download.file.size)
  }

  /// Takes what an earlier pull left into the digest, and says how much that is.
  func readKept() throws(HubError) -> Int {
    if partial.count > file.size { try startAnew() }
    try partial.read { hasher.update($0) }
    report(partial.count)
    return partial.count
  }

  func startAnew() throws(HubError) {
    try partial.truncate()
    hasher = ContentHasher(like: download.digest, size: file.size)
    report(0)
  }

  func begin() { refusesRange = false }

  func receive(_ head: HTTPHead) throws(HubError) {
    if head.status == 416 {
      refusesRange = true
      return
    }
    try download.client.check(
      head, host: download.url.host, repository: download.repository, file: file.path)
    let expected: Int
    if head.status == 206 {
      let (start, total) = Self.range(head["content-range"])
      guard start == partial.count, total == nil || total == file.size else {
        throw length("the hub sends another part (\((head["content-range"] ?? "unnamed").prefix(80)))")
      }
      expected = file.size - partial.count
    } else {
      guard head.status == 200 else { throw HubError(.status(head.status, host: download.url.host)) }
      // The hub sends the whole file, whatever was asked for.
      if partial.count > 0 { try startAnew() }
      expected = file.size
    }
    if let announced = head["content-length"].flatMap({ Int($0) }), announced != expected {
      throw length("the hub sends \(announced)" + (expected == file.size ? "" : " where \(expected) are missing"))
    }
  }

  func receive(_ bytes: UnsafeRawBufferPointer) throws(HubError) {
    guard !refusesRange else { return }
    let room = file.size - partial.count
    let taken = UnsafeRawBufferPointer(rebasing: bytes.prefix(room))
    let before = partial.count
    do throws(HubError) {
      try partial.append(taken)
    } catch {
      hasher.update(UnsafeRawBufferPointer(rebasing: taken.prefix(partial.count - before)))
      throw error
    }
    hasher.update(taken)
    report(partial.count)
    if bytes.count > room {
      let error = length("the hub sends more")
      excess = error
      throw error
    }
  }

  /// The error of a digest that is not the listed one; nil where it is right.
  func wrongDigest() -> HubError? {
    let found = hasher.finalize()
    guard found != download.digest else { return nil }
    return HubError(.digest(file: file.path, expected: download.digest.text, found: found.text))
  }

  private func length(_ reason: String) -> HubError {
    HubError(.length(file: file.path, expected: file.size, reason: reason))
  }

  /// Start and total of `bytes 5-9/10`.
  private static func range(_ text: String?) -> (start: Int?, total: Int?) {
    guard let text, text.lowercased().hasPrefix("bytes ") else { return (nil, nil) }
    let parts = text.dropFirst(6).split(separator: "/")
    let start = parts.first?.split(separator: "-").first.flatMap { Int($0) }
    return (start, parts.count == 2 ? Int(parts[1]) : nil)
  }
}
