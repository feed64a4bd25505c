import ModelJSON

/// One file of a repository.
package struct RepositoryFile: Sendable, Hashable {
  package let path: String
  package let size: Int
  /// Nil where the hub does not say one.
  package let digest: ContentDigest?
}

/// All files of a repository at one commit.
struct RepositoryListing: Sendable {
  let commit: String
  /// Sorted by path.
  let files: [RepositoryFile]

  private static let pageLimit = 100
  private static let largestFile = 1 << 50

  /// Asks a hub: for the commit of a revision, then for its files, page by page.
  static func fetch(
    _ repository: String, revision: String, from client: HubClient
  ) throws(HubError) -> RepositoryListing {
    let bad = { (reason: String) in HubError(.badListing(repository: repository, reason: reason)) }
    let base = "/api/models/\(repository)/"
    let commit = try commit(repository, revision: revision, base: base, client: client)
    var next = client.access.url(base + "tree/\(commit)?recursive=true")
    var files: [String: RepositoryFile] = [:]
    var pages = 0
    while let url = next {
      pages += 1
      guard pages <= pageLimit else { throw bad("it has more than \(pageLimit) pages") }
      let (bytes, head) = try client.contents(of: url, repository: repository)
      guard let entries = try json(bytes, bad).array else { throw bad("it is no list") }
      for entry in entries {
        guard let file = try file(entry, bad) else { continue }
        guard files.updateValue(file, forKey: file.path) == nil else { throw bad("it names '\(file.path)' twice") }
      }
      next = try following(head, of: url, bad)
    }
    return RepositoryListing(commit: commit, files: files.values.sorted { $0.path < $1.path })
  }

  private static func commit(
    _ repository: String, revision: String, base: String, client: HubClient
  ) throws(HubError) -> String {
    let bad = { (reason: String) in HubError(.badListing(repository: repository, reason: reason)) }
    guard let url = client.access.url(base + "revision/" + RepositoryPath.escaped(revision).replacingSlashes) else {
      throw HubError(.noRevision(revision, repository: repository))
    }
    let description: JSONValue
    do throws(HubError) {
      description = try json(client.contents(of: url, repository: repository).0, bad)
    } catch {
      // A hub says the same of a revision as of a repository that is not there; of main it is the repository.
      if case .noRepository = error.code, revision != "main" {
        throw HubError(.noRevision(revision, repository: repository))
      }
      throw error
    }
    guard let commit = description["sha"]?.string, case .gitBlob? = ContentDigest(commit) else {
      throw bad("it has no commit")
    }
    return commit
  }

  private static func json(_ bytes: [UInt8], _ bad: (String) -> HubError) throws(HubError) -> JSONValue {
    do {
      return try JSONValue(parsing: bytes)
    } catch {
      throw bad(error.description)
    }
  }

  /// A file of an entry; nil for a folder.
  private static func file(_ entry: JSONValue, _ bad: (String) -> HubError) throws(HubError) -> RepositoryFile? {
    guard let path = entry["path"]?.string else { throw bad("an entry has no path") }
    guard entry["type"]?.string == "file" else { return nil }
    let large = entry["lfs"]
    guard let size = (large?["size"] ?? entry["size"])?.integer, (0...largestFile).contains(size) else {
      throw bad("'\(path)' has no size")
    }
    let digits = (large?["oid"] ?? (large?.object == nil ? entry["oid"] : nil))?.string
    return RepositoryFile(path: path, size: size, digest: digits.flatMap { ContentDigest($0) })
  }

  /// The next page by the field `Link`, which must be the same hub's.
  private static func following(
    _ head: HTTPHead, of url: HubURL, _ bad: (String) -> HubError
  ) throws(HubError) -> HubURL? {
    for link in (head["link"] ?? "").split(separator: ",") where link.contains("rel=\"next\"") {
      guard let start = link.firstIndex(of: "<"), let end = link.firstIndex(of: ">"), start < end,
        let next = url.resolving(String(link[link.index(after: start)..<end])), next.origin == url.origin
      else { throw bad("its next page is not the hub's") }
      return next
    }
    return nil
  }
}

extension String {
  /// A path as one part of another: a revision such as `refs/pr/1` is one.
  fileprivate var replacingSlashes: String {
    split(separator: "/", omittingEmptySubsequences: false).joined(separator: "%2F")
  }
}
