import Kernels
import ModelHub
import Synchronization

/// A hub with one repository, on two ports as real ones are on two hosts: the API here, large files behind a redirect there.
package final class HubServer: Sendable {
  package static let repository = "tester/tiny"

  private struct State {
    var files: [String: [UInt8]] = [:]
    var commit = String(repeating: "a", count: 40)
    var pageSize = 1000
    var alter: (@Sendable (LoopbackRequest, inout LoopbackResponse) -> Void)?
  }

  private let state: StateBox
  package let hub: LoopbackServer
  package let store: LoopbackServer

  private final class StateBox: Sendable {
    let value: Mutex<State>
    init(_ state: State) { value = Mutex(state) }
  }

  /// - Parameter files: contents by path; GGUF and safetensors are large files, which have SHA-256 and lie in the store
  package init(_ files: [String: [UInt8]]) throws {
    let state = StateBox(State(files: files))
    self.state = state
    let store = try LoopbackServer { request in
      state.value.withLock { state in Self.answer(request, state, Self.content(request, state)) }
    }
    self.store = store
    let address = store.address
    hub = try LoopbackServer { request in
      state.value.withLock { state in Self.answer(request, state, Self.page(request, state, store: address)) }
    }
  }

  package var endpoint: String { hub.address }
  /// Requests to both.
  package var requestCount: Int { hub.requests.count + store.requests.count }

  package func setFiles(_ files: [String: [UInt8]], commit: Character) {
    state.value.withLock {
      $0.files = files
      $0.commit = String(repeating: commit, count: 40)
    }
  }

  /// From now on a listing has pages of so many entries.
  package func setPageSize(_ size: Int) { state.value.withLock { $0.pageSize = size } }

  /// From now on every answer passes here; nil makes the hub honest.
  package func alter(_ body: (@Sendable (LoopbackRequest, inout LoopbackResponse) -> Void)?) {
    state.value.withLock { $0.alter = body }
  }

  package static func digest(_ bytes: [UInt8]) -> String {
    var hash = SHA256()
    bytes.withUnsafeBytes { hash.update($0) }
    return hash.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  private static func answer(
    _ request: LoopbackRequest, _ state: State, _ response: LoopbackResponse
  ) -> LoopbackResponse {
    var response = response
    state.alter?(request, &response)
    return response
  }

  private static func isLarge(_ path: String) -> Bool { path.hasSuffix(".gguf") || path.hasSuffix(".safetensors") }

  private static func page(_ request: LoopbackRequest, _ state: State, store: String) -> LoopbackResponse {
    let api = "/api/models/\(repository)/"
    let files = "/\(repository)/resolve/\(state.commit)/"
    if request.path == api + "revision/main" {
      return LoopbackResponse(
        status: 200, body: Array("{\"id\": \"\(repository)\", \"sha\": \"\(state.commit)\"}".utf8))
    }
    if request.path.hasPrefix(api + "tree/\(state.commit)?recursive=true") {
      let page = request.path.split(separator: "&page=").dropFirst().first.flatMap { Int($0) } ?? 0
      return listing(state, page: page, api: api)
    }
    guard request.path.hasPrefix(files) else {
      return LoopbackResponse(status: 404, fields: [("X-Error-Code", "RepoNotFound")])
    }
    let path = String(request.path.dropFirst(files.count))
    guard let bytes = state.files[path] else {
      return LoopbackResponse(status: 404, fields: [("X-Error-Code", "EntryNotFound")])
    }
    guard isLarge(path) else { return part(bytes, request) }
    return LoopbackResponse(
      status: 302,
      fields: [("Location", store + "/" + digest(bytes)), ("X-Linked-Etag", "\"" + digest(bytes) + "\"")])
  }

  private static func listing(_ state: State, page: Int, api: String) -> LoopbackResponse {
    let paths = state.files.keys.sorted()
    let entries = paths.dropFirst(page * state.pageSize).prefix(state.pageSize).map { path in
      let bytes = state.files[path] ?? []
      var hasher = ContentHasher(like: .gitBlob(""), size: bytes.count)
      bytes.withUnsafeBytes { hasher.update($0) }
      let large = isLarge(path) ? ", \"lfs\": {\"oid\": \"\(digest(bytes))\", \"size\": \(bytes.count)}" : ""
      let name = path.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
      return "{\"type\": \"file\", \"path\": \"\(name)\", \"size\": \(bytes.count), "
        + "\"oid\": \"\(hasher.finalize().text)\"\(large)}"
    }
    let folder = "{\"type\": \"directory\", \"path\": \"somewhere\", \"oid\": \"\", \"size\": 0}"
    var response = LoopbackResponse(
      status: 200, body: Array(("[" + ([folder] + entries).joined(separator: ",") + "]").utf8))
    if (page + 1) * state.pageSize < paths.count {
      let next = "\(api)tree/\(state.commit)?recursive=true&page=\(page + 1)"
      response.fields = [("Link", "<\(next)>; rel=\"next\"")]
    }
    return response
  }

  private static func content(_ request: LoopbackRequest, _ state: State) -> LoopbackResponse {
    guard let bytes = state.files.values.first(where: { "/" + digest($0) == request.path }) else {
      return LoopbackResponse(status: 404)
    }
    return part(bytes, request)
  }

  /// All of a file, or from where the field `Range` says.
  private static func part(_ bytes: [UInt8], _ request: LoopbackRequest) -> LoopbackResponse {
    guard let range = request.fields["range"] else { return LoopbackResponse(status: 200, body: bytes) }
    let ends = range.dropFirst("bytes=".count).split(separator: "-").compactMap { Int($0) }
    guard let start = ends.first, start < bytes.count else { return LoopbackResponse(status: 416) }
    let end = min(bytes.count, ends.count > 1 ? ends[1] + 1 : bytes.count)
    return LoopbackResponse(
      status: 206, fields: [("Content-Range", "bytes \(start)-\(end - 1)/\(bytes.count)")],
      body: Array(bytes[start..<end]))
  }
}
