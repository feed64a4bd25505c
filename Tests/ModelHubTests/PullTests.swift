import Foundation
import HubTestSupport
import ModelHub
import TestSupport
import Testing

/// What a pull brings, what it asks for, and what it leaves alone.
@Suite struct PullTests {
  private static let quantised = [
    "README.md": Array("read".utf8), "tiny-Q8_0.gguf": PullSubject.noise(5000, seed: 8),
    "tiny-Q4_K_M.gguf": PullSubject.noise(4000, seed: 4), "mmproj-Q4_K_M.gguf": PullSubject.noise(100, seed: 5),
  ]
  private static let directory = [
    "config.json": Array("{}".utf8), "tokenizer.json": PullSubject.noise(3000, seed: 1), "extra.txt": [1],
    "generation_config.json": Array("{ }".utf8), "chat_template.jinja": Array("{{ x }}".utf8),
    "model.safetensors.index.json": Array(
      "{\"weight_map\": {\"a\": \"model-2.safetensors\", \"b\": \"model-1.safetensors\", \"c\": \"model-2.safetensors\"}}"
        .utf8),
    "model-1.safetensors": PullSubject.noise(700, seed: 2), "model-2.safetensors": PullSubject.noise(800, seed: 3),
    "unused.safetensors": [1, 2, 3],
  ]

  private func contents(_ subject: PullSubject) throws -> [String: [UInt8]] {
    var contents: [String: [UInt8]] = [:]
    for name in try FileManager.default.subpathsOfDirectory(atPath: subject.repositoryFolder) {
      guard !name.hasPrefix(".sluice"),
        let data = try? Data(contentsOf: URL(filePath: subject.repositoryFolder + "/" + name))
      else { continue }
      contents[name] = Array(data)
    }
    return contents
  }

  @Test func `one quantisation comes, the usual one, and is here from then on`() throws {
    try PullSubject.with(Self.quantised) { (subject) throws in
      var last: ModelPull.Progress?
      let result = try subject.pull(report: { last = $0 })
      #expect(result.model.name == "tester/tiny:Q4_K_M" && result.model.size == 4000 && !result.wasHere)
      #expect(last?.bytes == 4000 && last?.total == 4000)
      #expect(try contents(subject) == ["tiny-Q4_K_M.gguf": Self.quantised["tiny-Q4_K_M.gguf"]])
      let asked = subject.hub.requestCount
      for name in ["tester/tiny", "tester/tiny:q4_k_m", "hf.co/tester/tiny"] {
        let again = try subject.pull(name)
        #expect(again.wasHere && again.model == result.model)
      }
      #expect(subject.hub.requestCount == asked)
      #expect(try subject.store.model(#require(ModelName("tester/tiny")), cache: subject.cache) == result.model)
      // Another quantisation joins it.
      #expect(try subject.pull("tester/tiny:Q8_0").model.size == 5000)
      #expect(subject.store.models().map(\.name) == ["tester/tiny:Q4_K_M", "tester/tiny:Q8_0"])
      #expect(try subject.store.model(#require(ModelName("tester/tiny")), cache: subject.cache) == result.model)
    }
  }

  @Test func `all parts of a split file come, and the first is what is opened`() throws {
    let parts = (1...3).map {
      ("Q8_0/tiny-Q8_0-0000\($0)-of-00003.gguf", PullSubject.noise(1000 * $0, seed: UInt64($0)))
    }
    var files = Dictionary(uniqueKeysWithValues: parts)
    try PullSubject.with(files) { (subject) throws in
      let result = try subject.pull("tester/tiny:q8_0")
      #expect(result.model.path.hasSuffix("/tester/tiny/Q8_0/tiny-Q8_0-00001-of-00003.gguf"))
      #expect(result.model.size == 6000)
      #expect(try contents(subject).filter { !$0.value.isEmpty } == files)
    }
    files["Q8_0/tiny-Q8_0-00002-of-00003.gguf"] = nil
    try PullSubject.with(files) { (subject) throws in
      let error = #expect(throws: HubError.self) { try subject.pull() }
      #expect(String(describing: try #require(error)).contains("2 of its 3 parts"))
    }
  }

  @Test func `of a directory comes what is read: description, tokenizer, templates, the shards of the index`() throws {
    try PullSubject.with(Self.directory) { (subject) throws in
      subject.hub.setPageSize(2)
      let result = try subject.pull()
      var expected = Self.directory
      for name in ["extra.txt", "unused.safetensors"] { expected[name] = nil }
      #expect(try contents(subject) == expected)
      #expect(result.model.path == subject.repositoryFolder && result.model.name == "tester/tiny:safetensors")
      #expect(try subject.pull().wasHere)
    }
  }

  @Test func `a small file is checked by Git's name for it`() throws {
    try PullSubject.with(Self.directory) { (subject) throws in
      subject.hub.alter { if $0.path.hasSuffix("/config.json") { $1.body = Array("[]".utf8) } }
      let error = #expect(throws: HubError.self) { try subject.pull() }
      #expect(String(describing: try #require(error)).contains("config.json arrived with the digest"))
    }
  }

  @Test func `a token goes to the hub and nowhere else`() throws {
    try PullSubject.with(Self.quantised) { (subject) throws in
      var subject = subject
      subject.environment = ["HF_TOKEN": "hf_secret"]
      _ = try subject.pull()
      #expect(subject.hub.hub.requests.allSatisfy { $0.fields["authorization"] == "Bearer hf_secret" })
      #expect(!subject.hub.store.requests.isEmpty)
      #expect(subject.hub.store.requests.allSatisfy { $0.fields["authorization"] == nil })
    }
  }

  @Test func `a kept token serves where the environment has none`() throws {
    try PullSubject.with(Self.quantised) { (subject) throws in
      var subject = subject
      let path = try write("hf_kept\n", to: "token", in: subject.folder)
      subject.environment = ["HF_TOKEN_PATH": path]
      _ = try subject.pull()
      #expect(subject.hub.hub.requests.allSatisfy { $0.fields["authorization"] == "Bearer hf_kept" })
    }
  }

  @Test func `a hub that ignores ranges sends the file anew, and it does not grow`() throws {
    try PullSubject.with(Self.quantised) { (subject) throws in
      subject.hub.alter { if $0.path.utf8.count == 65 { $1.cut = 1000 } }
      #expect(throws: HubError.self) { try subject.pull() }
      let whole = Self.quantised["tiny-Q4_K_M.gguf"] ?? []
      subject.hub.alter {
        if $0.path.utf8.count == 65 { ($1.status, $1.fields) = (200, []); $1.replaceBody(whole) }
      }
      #expect(try Array(Data(contentsOf: URL(filePath: subject.pull().model.path))) == whole)
    }
  }

  @Test func `what was left damaged, too long or refused is read anew in the same pull`() throws {
    let whole = Self.quantised["tiny-Q4_K_M.gguf"] ?? []
    let others = PullSubject.noise(4000, seed: 77)
    for left in [Array(others.prefix(1000)), others, others + others, Array(whole.prefix(3999)), whole] {
      try PullSubject.with(Self.quantised) { (subject) throws in
        let partials = subject.repositoryFolder + "/.sluice/partial"
        try FileManager.default.createDirectory(atPath: partials, withIntermediateDirectories: true)
        try write(left, to: HubServer.digest(whole), in: partials)
        #expect(try Array(Data(contentsOf: URL(filePath: subject.pull().model.path))) == whole)
      }
    }
    try PullSubject.with(Self.quantised) { (subject) throws in
      subject.hub.alter { if $0.path.utf8.count == 65 { $1.cut = 1000 } }
      #expect(throws: HubError.self) { try subject.pull() }
      subject.hub.alter {
        if $0.path.utf8.count == 65, $0.fields["range"] != nil { $1 = LoopbackResponse(status: 416) }
      }
      #expect(try Array(Data(contentsOf: URL(filePath: subject.pull().model.path))) == whole)
      #expect(subject.hub.store.requests.map { $0.fields["range"] } == [nil, "bytes=1000-", nil])
    }
  }

  @Test func `a refresh brings the newest commit, only what changed, and takes away what is gone`() throws {
    try PullSubject.with(Self.directory) { (subject) throws in
      _ = try subject.pull()
      var newer = Self.directory
      newer["model-1.safetensors"] = PullSubject.noise(700, seed: 20)
      newer["chat_template.jinja"] = nil
      subject.hub.setFiles(newer, commit: "b")
      #expect(try subject.pull().wasHere)
      #expect(try !subject.pull(refresh: true).wasHere)
      for name in ["extra.txt", "unused.safetensors"] { newer[name] = nil }
      #expect(try contents(subject) == newer)
      #expect(subject.hub.store.requests.count == 3)
    }
  }

  @Test func `a refresh that fails leaves the old model whole`() throws {
    try PullSubject.with(Self.directory) { (subject) throws in
      let model = try subject.pull().model
      let before = try contents(subject)
      var newer = Self.directory
      newer["model-1.safetensors"] = PullSubject.noise(700, seed: 20)
      newer["model-2.safetensors"] = PullSubject.noise(700, seed: 21)
      subject.hub.setFiles(newer, commit: "b")
      let broken = "/" + HubServer.digest(newer["model-2.safetensors"] ?? [])
      subject.hub.alter { if $0.path == broken { $1.status = 503 } }
      #expect(throws: HubError.self) { try subject.pull(refresh: true) }
      #expect(try contents(subject) == before)
      #expect(subject.store.models() == [model])
    }
  }

  @Test func `a damaged record is mended without fetching again`() throws {
    try PullSubject.with(Self.quantised) { (subject) throws in
      let model = try subject.pull().model
      try write("{", to: "pulled.json", in: subject.repositoryFolder + "/.sluice")
      #expect(subject.store.models().isEmpty)
      let fetched = subject.hub.store.requests.count
      #expect(try subject.pull().model == model)
      #expect(subject.hub.store.requests.count == fetched)
    }
  }

  @Test func `of two pulls at once one ends in a line`() throws {
    try PullSubject.with(Self.quantised) { (subject) throws in
      var inner: HubError?
      _ = try subject.pull(report: { _ in
        guard inner == nil else { return }
        inner = #expect(throws: HubError.self) { try subject.pull("tester/tiny:Q8_0") }
      })
      #expect(String(describing: inner).contains("another process"))
      #expect(try !subject.pull("tester/tiny:Q8_0").wasHere)
    }
  }

  @Test func `where the listing has no digest the answer's is taken`() throws {
    try PullSubject.with(Self.quantised) { (subject) throws in
      subject.hub.alter {
        if $0.path.contains("/tree/") {
          $1.replaceBody(Array("[{\"type\": \"file\", \"path\": \"tiny-Q4_K_M.gguf\", \"size\": 4000}]".utf8))
        }
      }
      #expect(try subject.pull().model.size == 4000)
    }
  }
}
