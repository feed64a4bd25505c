import HubTestSupport
import ModelHub
import Synchronization
import TestSupport
import Testing

/// Redirects between hosts and schemes that no loopback server can play.
@Suite struct RedirectTests {
  /// Answers by address, and a record of what was sent.
  private final class Script: HTTPTransport {
    let answers: [String: (status: Int, location: String?, body: String)]
    let sent = Mutex<[(address: String, token: String?)]>([])

    init(_ answers: [String: (status: Int, location: String?, body: String)]) { self.answers = answers }

    func send(_ request: HTTPRequest, to receiver: any HTTPReceiver) throws(HubError) {
      let token = request.fields.first { $0.name == "Authorization" }?.value
      sent.withLock { $0.append((request.url.text, token)) }
      let answer = answers[request.url.text] ?? (404, nil, "")
      try receiver.receive(
        HTTPHead(status: answer.status, fields: answer.location.map { [("location", $0)] } ?? []))
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: answer.body.utf8.count, alignment: 1)
      defer { bytes.deallocate() }
      bytes.copyBytes(from: answer.body.utf8)
      try receiver.receive(UnsafeRawBufferPointer(bytes))
    }
  }

  private static let api = "https://hub.example/api/models/o/r/"
  private static let commit = String(repeating: "a", count: 40)
  private static let file = "https://hub.example/o/r/resolve/\(commit)/m-Q8_0.gguf"

  /// Pulls a file of four bytes whose address answers with a redirect there.
  private func pull(_ location: String) throws -> [(address: String, token: String?)] {
    let digest = HubServer.digest(Array("GGUF".utf8))
    let listing = """
      [{"type": "file", "path": "m-Q8_0.gguf", "size": 4, "lfs": {"oid": "\(digest)", "size": 4}}]
      """
    let script = Script([
      Self.api + "revision/main": (200, nil, "{\"sha\": \"\(Self.commit)\"}"),
      Self.api + "tree/\(Self.commit)?recursive=true": (200, nil, listing), Self.file: (302, location, ""),
      "https://hub.example/here": (200, nil, "GGUF"), "https://cdn.example/there": (200, nil, "GGUF"),
      "https://hub.example:444/here": (200, nil, "GGUF"), "http://cdn.example/there": (200, nil, "GGUF"),
      "https://cdn.example/back": (307, "https://hub.example/here", ""),
    ])
    try withTemporaryDirectory { folder in
      let access = try HubAccess(endpoint: "https://hub.example", environment: ["HF_TOKEN": "hf_x"])
      let client = HubClient(access: access, transport: script, repetitions: 0) { _ in }
      let pull = ModelPull(
        store: ModelStore(directory: folder), cache: HuggingFaceCache(environment: [:]), client: client)
      _ = try pull.run(ModelName(owner: "o", repository: "r"))
    }
    return script.sent.withLock { Array($0.dropFirst(2)) }
  }

  @Test(arguments: [
    ("/here", ["hub": true]), ("https://cdn.example/there", ["cdn": false]), ("//cdn.example/there", ["cdn": false]),
    ("https://hub.example:444/here", ["444": false]), ("https://cdn.example/back", ["cdn": false, "here": true]),
  ])
  func `a token goes where the hub is, by scheme, host and port`(location: String, hasToken: [String: Bool]) throws {
    let sent = try pull(location)
    #expect(sent[0].address == Self.file && sent[0].token == "Bearer hf_x")
    for (part, expected) in hasToken {
      let request = try #require(sent.dropFirst().first { $0.address.contains(part) })
      #expect((request.token != nil) == expected, "\(request)")
    }
  }

  @Test func `nothing is followed from https to http`() throws {
    for location in ["http://cdn.example/there", "http://hub.example/here"] {
      let error = #expect(throws: HubError.self) { try pull(location) }
      #expect(String(describing: try #require(error)).contains("from https to http"))
    }
  }
}
