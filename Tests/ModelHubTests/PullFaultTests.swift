import Foundation
import HubTestSupport
import ModelHub
import TestSupport
import Testing

/// Every way in which a hub or the way to it is known to fail: one line each, and the same command then goes on.
@Suite struct PullFaultTests {
  /// A fault of the hub.
  struct Fault: Sendable, CustomTestStringConvertible {
    let name: String
    /// What the line says.
    let says: [String]
    let alter: @Sendable (LoopbackRequest, inout LoopbackResponse) -> Void
    var testDescription: String { name }

    init(
      _ name: String, _ says: String..., alter: @escaping @Sendable (LoopbackRequest, inout LoopbackResponse) -> Void
    ) {
      self.name = name
      self.says = says
      self.alter = alter
    }
  }

  private static let content = PullSubject.noise(300_000)
  private static let path = "tiny-Q4_0.gguf"

  private static func isContent(_ request: LoopbackRequest) -> Bool { request.path == "/" + HubServer.digest(content) }
  private static func isResolve(_ request: LoopbackRequest) -> Bool { request.path.contains("/resolve/") }
  private static func isTree(_ request: LoopbackRequest) -> Bool { request.path.contains("/tree/") }
  private static func isRevision(_ request: LoopbackRequest) -> Bool { request.path.contains("/revision/") }

  private static let faults: [Fault] = [
    Fault("the connection is cut", "broke", "goes on") { if isContent($0) { $1.cut = 100_000 } },
    Fault("the connection is cut before the first byte of the body", "broke") { if isContent($0) { $1.cut = 0 } },
    Fault("a body without a length ends early", "ended after 70000 of 300000 bytes") {
      if isContent($0) { ($1.cut, $1.announcedLength) = (70_000, nil) }
    },
    Fault("one byte is wrong", "digest", "removed") { if isContent($0) { $1.body[12_345] ^= 1 } },
    Fault("another file of the same size", "digest", "removed") {
      if isContent($0) { $1.body = PullSubject.noise(300_000, seed: 2) }
    },
    Fault("the length is too short", "300000 bytes", "sends 299999") {
      if isContent($0) { $1.body.removeLast(); $1.announcedLength = 299_999 }
    },
    Fault("the length is too long, and the body with it", "300000 bytes", "sends 300001") {
      if isContent($0) { $1.replaceBody(content + [0]) }
    },
    Fault("the length lies below what is sent", "300000 bytes", "sends 1000") {
      if isContent($0) { $1.announcedLength = 1000 }
    },
    Fault("the length lies above what is sent", "300000 bytes", "sends 300500") {
      if isContent($0) { $1.announcedLength = 300_500 }
    },
    Fault("more arrives than was listed, without a length", "300000 bytes", "sends more") {
      if isContent($0) { ($1.body, $1.announcedLength) = (PullSubject.noise(400_000, seed: 3), nil) }
    },
    Fault("a part where the whole was asked for", "another part") {
      if isContent($0) { ($1.status, $1.fields) = (206, [("Content-Range", "bytes 5-300004/300005")]) }
    },
    Fault("a part without its range", "another part", "unnamed") { if isContent($0) { $1.status = 206 } },
    Fault("a status that means nothing here", "status 204") {
      if isContent($0) { $1.status = 204; $1.replaceBody([]) }
    },
    Fault("a range is refused that was not asked for", "status 416") {
      if isContent($0) { $1.status = 416; $1.replaceBody([]) }
    },
    Fault("redirects in circles", "in circles") {
      if isResolve($0) { ($1.status, $1.fields) = (302, [("Location", $0.path)]) }
    },
    Fault("a redirect to nowhere", "to no address") { if isResolve($0) { $1.fields = [] } },
    Fault("a redirect to a file", "to no address") {
      if isResolve($0) { $1.fields = [("Location", "file:///etc/passwd")] }
    },
    Fault("a redirect to a port where nobody is", "cannot be reached") {
      if isResolve($0) { $1.fields = [("Location", "http://127.0.0.1:1/x")] }
    },
    Fault("401 for the file", "gated or private", "HF_TOKEN") { if isResolve($0) { $1.status = 401 } },
    Fault("403 for the file", "gated or private", "HF_TOKEN") { if isResolve($0) { $1.status = 403 } },
    Fault("401 for the repository", "gated or private", "HF_TOKEN") { if isRevision($0) { $1.status = 401 } },
    Fault("401 for a repository that is not there", "there is no repository", "HF_TOKEN") {
      if isRevision($0) { $1.status = 401; $1.fields = [("X-Error-Code", "RepoNotFound")] }
    },
    Fault("404 for the repository", "there is no repository tester/tiny") { if isRevision($0) { $1.status = 404 } },
    Fault("404 for the file", "does not have it", path) { if isResolve($0) { $1.status = 404 } },
    Fault("404 for the file's content", "does not have it", path) { if isContent($0) { $1.status = 404 } },
    Fault("429", "busy (status 429)") { if isRevision($0) { $1.status = 429 } },
    Fault("429 with a long pause", "wait 3600 seconds") {
      if isContent($0) { $1.status = 429; $1.fields = [("Retry-After", "3600")] }
    },
    Fault("500", "busy (status 500)") { if isTree($0) { $1.status = 500 } },
    Fault("503 for the content", "busy (status 503)") { if isContent($0) { $1.status = 503 } },
    Fault("418", "status 418") { if isTree($0) { $1.status = 418 } },
    Fault("a listing cut in its JSON", "cannot be read", "line 1") {
      if isTree($0) { $1.replaceBody(Array($1.body.dropLast(9))) }
    },
    Fault("a listing that is a page", "cannot be read") { if isTree($0) { $1.replaceBody(Array("<html>".utf8)) } },
    Fault("a listing that is no list", "it is no list") { if isTree($0) { $1.replaceBody(Array("{}".utf8)) } },
    Fault("a listing without paths", "no path") {
      if isTree($0) { $1.replaceBody(Array("[{\"type\": \"file\"}]".utf8)) }
    },
    Fault("a listing without sizes", "no size") {
      if isTree($0) { $1.replaceBody(Array("[{\"type\": \"file\", \"path\": \"a-Q4_0.gguf\"}]".utf8)) }
    },
    Fault("a size below zero", "no size") {
      if isTree($0) { $1.replaceBody(Array("[{\"type\": \"file\", \"path\": \"a-Q4_0.gguf\", \"size\": -5}]".utf8)) }
    },
    Fault("a size beyond every disk", "the disk of") {
      if isTree($0) {
        let oid = String(repeating: "0", count: 40)
        let entry = "{\"type\": \"file\", \"path\": \"a-Q4_0.gguf\", \"size\": 1125899906842624, \"oid\": \"\(oid)\"}"
        $1.replaceBody(Array("[\(entry)]".utf8))
      }
    },
    Fault("a file that is listed twice", "twice") {
      if isTree($0) {
        let entry = "{\"type\": \"file\", \"path\": \"a-Q4_0.gguf\", \"size\": 5}"
        $1.replaceBody(Array("[\(entry), \(entry)]".utf8))
      }
    },
    Fault("a next page of another host", "next page") {
      if isTree($0) { $1.fields = [("Link", "<http://example.com/tree>; rel=\"next\"")] }
    },
    Fault("a next page for ever", "pages") {
      if isTree($0) {
        $1.replaceBody(Array("[]".utf8))
        $1.fields = [("Link", "<\($0.path)>; rel=\"next\"")]
      }
    },
    Fault("a revision without its commit", "no commit") { if isRevision($0) { $1.replaceBody(Array("{}".utf8)) } },
    Fault("a commit that is a path", "no commit") {
      if isRevision($0) { $1.replaceBody(Array("{\"sha\": \"../../../x\"}".utf8)) }
    },
    Fault("a listing nested without end", "cannot be read") {
      if isTree($0) { $1.replaceBody([UInt8](repeating: UInt8(ascii: "["), count: 100_000)) }
    },
    Fault("a listing longer than any", "is longer than") {
      if isTree($0) { $1.replaceBody([UInt8](repeating: 0x20, count: 65 << 20)) }
    },
    Fault("a head without end", "does not end") {
      if isRevision($0) { $1.fields = (0..<60).map { ("X-\($0)", String(repeating: "x", count: 20_000)) } }
    },
    Fault("no HTTP at all", "failed") { if isRevision($0) { $1.status = -1 } },
  ]

  @Test(arguments: faults)
  func `a fault is one line, and the same command then completes`(fault: Fault) throws {
    try PullSubject.with([Self.path: Self.content]) { (subject) throws in
      subject.hub.alter(fault.alter)
      let error = #expect(throws: HubError.self) { try subject.pull() }
      let line = String(describing: try #require(error))
      for part in fault.says { #expect(line.contains(part), "\(line)") }
      #expect(!line.contains("\n") && line.utf8.count < 400, "\(line)")
      let place = subject.repositoryFolder + "/" + Self.path
      #expect(!FileManager.default.fileExists(atPath: place))
      #expect(subject.store.models().isEmpty)
      for partial
        in (try? FileManager.default.contentsOfDirectory(atPath: subject.repositoryFolder + "/.sluice/partial")) ?? []
      {
        let path = subject.repositoryFolder + "/.sluice/partial/" + partial
        #expect(try Data(contentsOf: URL(filePath: path)).count <= Self.content.count)
      }
      subject.hub.alter(nil)
      let result = try subject.pull()
      #expect(result.model.path == place && !result.wasHere)
      #expect(try Array(Data(contentsOf: URL(filePath: place))) == Self.content)
    }
  }

  @Test func `a connection that stands still counts as cut`() throws {
    try PullSubject.with([Self.path: Self.content]) { (subject) throws in
      subject.hub.alter { if Self.isContent($0) { ($1.cut, $1.stalls) = (150_000, true) } }
      let error = #expect(throws: HubError.self) { try subject.pull(stallSeconds: 1) }
      #expect(String(describing: try #require(error)).contains("broke"))
      subject.hub.alter(nil)
      _ = try subject.pull()
      #expect(subject.hub.store.requests.last?.fields["range"] == "bytes=150000-")
    }
  }

  @Test func `a cut is repeated and goes on where it was, as long as something comes`() throws {
    try PullSubject.with([Self.path: Self.content]) { (subject) throws in
      // Ten cuts, though only two failures in a row are borne.
      subject.hub.alter { if Self.isContent($0) { $1.cut = 30_000 } }
      let result = try subject.pull(repetitions: 2)
      #expect(try Array(Data(contentsOf: URL(filePath: result.model.path))) == Self.content)
      let ranges = subject.hub.store.requests.map { $0.fields["range"] }
      #expect(ranges == [nil] + (1..<10).map { "bytes=\($0 * 30_000)-" })
      #expect(subject.waits.all == [Int](repeating: 1, count: 9))
    }
  }

  @Test func `a busy hub is asked again after its own pause or a growing one, a few times`() throws {
    try PullSubject.with([Self.path: Self.content]) { (subject) throws in
      subject.hub.alter { if Self.isTree($0) { $1.status = 503 } }
      #expect(throws: HubError.self) { try subject.pull(repetitions: 6) }
      #expect(subject.waits.all == [1, 2, 4, 8, 16, 16])
      subject.hub.alter { if Self.isTree($0) { $1.status = 429; $1.fields = [("Retry-After", "7")] } }
      #expect(throws: HubError.self) { try subject.pull(repetitions: 2) }
      #expect(subject.waits.all.suffix(2) == [7, 7])
    }
  }

  @Test(arguments: [
    "../evil-Q4_0.gguf", "/evil-Q4_0.gguf", "a/../../evil-Q4_0.gguf", "a//evil-Q4_0.gguf", ".ssh/evil-Q4_0.gguf",
    "a/.-Q4_0.gguf", "a\\..\\evil-Q4_0.gguf", "evil\n-Q4_0.gguf", String(repeating: "x", count: 300) + "-Q4_0.gguf",
    "./evil-Q4_0.gguf", "a/./evil-Q4_0.gguf",
  ])
  func `a name that leads out of the folder is refused before anything is written`(path: String) throws {
    try PullSubject.with([path: Self.content]) { (subject) throws in
      let error = #expect(throws: HubError.self) { try subject.pull() }
      #expect(String(describing: try #require(error)).contains("no name that is written here"))
      let everything = FileManager.default.enumerator(atPath: subject.folder)?.allObjects as? [String] ?? []
      #expect(!everything.contains { $0.contains("evil") || $0.contains("xxx") }, "\(everything)")
      #expect(subject.hub.store.requests.isEmpty)
    }
  }

  @Test func `an index may not name what the repository does not list, nor what leads out of it`() throws {
    for shard in ["../../x.safetensors", "missing.safetensors", "/etc/passwd"] {
      let files = [
        "config.json": Array("{}".utf8), "x.safetensors": [UInt8](repeating: 1, count: 9),
        "model.safetensors.index.json": Array("{\"weight_map\": {\"a\": \"\(shard)\"}}".utf8),
      ]
      try PullSubject.with(files) { (subject) throws in
        let error = #expect(throws: HubError.self) { try subject.pull() }
        #expect(String(describing: try #require(error)).contains("does not have it"))
        #expect(subject.hub.store.requests.isEmpty)
      }
    }
  }

  #if os(Linux)
    @Test func `a full disk keeps what fitted`() throws {
      try PullSubject.with([Self.path: Self.content]) { (subject) throws in
        let partials = subject.repositoryFolder + "/.sluice/partial"
        try FileManager.default.createDirectory(atPath: partials, withIntermediateDirectories: true)
        let partial = partials + "/" + HubServer.digest(Self.content)
        // The device that takes nothing, as a disk without room does.
        try FileManager.default.createSymbolicLink(atPath: partial, withDestinationPath: "/dev/full")
        let error = #expect(throws: HubError.self) { try subject.pull() }
        #expect(String(describing: try #require(error)).contains("no space left"))
        try FileManager.default.removeItem(atPath: partial)
        #expect(!(try subject.pull().wasHere))
      }
    }
  #endif

  @Test func `whoever stops a pull finds it where it was`() throws {
    try PullSubject.with([Self.path: Self.content]) { (subject) throws in
      subject.hub.alter { if Self.isContent($0) { ($1.cut, $1.stalls) = (150_000, true) } }
      let store = subject.hub.store
      let error = #expect(throws: HubError.self) {
        try subject.pull(repetitions: 3, isInterrupted: { !store.requests.isEmpty })
      }
      #expect(error?.isInterruption == true)
      subject.hub.alter(nil)
      #expect(try Array(Data(contentsOf: URL(filePath: subject.pull().model.path))) == Self.content)
    }
  }
}
