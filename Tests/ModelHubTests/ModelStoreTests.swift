import Foundation
import HubTestSupport
import ModelHub
import TestSupport
import Testing

/// What lies in the models' folder and in Hugging Face's cache: found, listed, removed.
@Suite struct ModelStoreTests {
  private static let files = [
    "a-Q4_K_M.gguf": PullSubject.noise(400), "b/a-Q8_0-00001-of-00002.gguf": PullSubject.noise(500),
    "b/a-Q8_0-00002-of-00002.gguf": PullSubject.noise(600, seed: 3),
  ]

  private func paths(_ folder: String) -> [String] {
    (FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []).filter { !$0.contains(".sluice") }
      .sorted()
  }

  @Test func `one quantisation goes, then the last one with its folders`() throws {
    try PullSubject.with(Self.files) { (subject) throws in
      _ = try subject.pull()
      _ = try subject.pull("tester/tiny:Q8_0")
      let removal = try subject.store.remove("tester/tiny:q8_0", cache: subject.cache)
      #expect(removal.names == ["tester/tiny:Q8_0"] && removal.bytes == 1100)
      #expect(
        paths(subject.folder) == ["models", "models/tester", "models/tester/tiny", "models/tester/tiny/a-Q4_K_M.gguf"])
      #expect(try subject.store.remove("tester/tiny", cache: subject.cache).bytes == 400)
      #expect(paths(subject.folder) == ["models"])
      #expect(throws: HubError.self) { try subject.store.remove("tester/tiny", cache: subject.cache) }
    }
  }

  @Test func `what no pull brought stays`() throws {
    try PullSubject.with(Self.files) { (subject) throws in
      _ = try subject.pull()
      try write("mine", to: "mine.gguf", in: subject.repositoryFolder)
      _ = try subject.store.remove("tester/tiny", cache: subject.cache)
      #expect(paths(subject.folder).last == "models/tester/tiny/mine.gguf")
      #expect(throws: HubError.self) { try subject.store.remove("tester/tiny", cache: subject.cache) }
    }
  }

  @Test func `what was left of a cut pull goes too`() throws {
    try PullSubject.with(Self.files) { (subject) throws in
      subject.hub.alter { if !$0.path.contains("/api/"), $1.status == 200 { $1.cut = 100 } }
      #expect(throws: HubError.self) { try subject.pull() }
      let error = #expect(throws: HubError.self) {
        try subject.store.model(#require(ModelName("tester/tiny")), cache: subject.cache)
      }
      #expect(String(describing: try #require(error)).contains("in part only"))
      #expect(try subject.store.remove("tester/tiny", cache: subject.cache).bytes == 100)
      #expect(paths(subject.folder) == ["models"])
    }
  }

  @Test(arguments: [
    "..", ".", "", "../models", "../../x/y", "a/..", "tester/..", "tester/../..", "/etc/passwd", "/", "tester",
    ".sluice", "~",
    "tester/tiny:..", "tester/tiny:../../x", "keep.gguf/..",
  ])
  func `a name leads nowhere else`(name: String) throws {
    try PullSubject.with(Self.files) { (subject) throws in
      _ = try subject.pull()
      try write("outside", to: "outside.gguf", in: subject.folder)
      let before = paths(subject.folder)
      #expect(throws: HubError.self) { try subject.store.remove(name, cache: subject.cache) }
      #expect(paths(subject.folder) == before)
    }
  }

  @Test func `a record that names files elsewhere is no record`() throws {
    try PullSubject.with(Self.files) { (subject) throws in
      _ = try subject.pull()
      let path = subject.repositoryFolder + "/.sluice/pulled.json"
      let text = try String(contentsOf: URL(filePath: path), encoding: .utf8)
      try write("outside", to: "outside.gguf", in: subject.folder)
      let hostile = text.replacing("a-Q4_K_M.gguf", with: "../../../outside.gguf")
      try write(hostile, to: "pulled.json", in: subject.repositoryFolder + "/.sluice")
      #expect(subject.store.models().isEmpty)
      _ = try subject.store.remove("tester/tiny", cache: subject.cache)
      #expect(FileManager.default.fileExists(atPath: subject.folder + "/outside.gguf"))
    }
  }

  @Test func `files of the folder are listed and removed by name`() throws {
    try PullSubject.with(Self.files) { (subject) throws in
      _ = try subject.pull()
      try write("12345", to: "alone.gguf", in: subject.store.directory)
      #expect(subject.store.models().map(\.name) == ["alone", "tester/tiny:Q4_K_M"])
      #expect(subject.store.models().map(\.size) == [5, 400])
      #expect(try subject.store.remove("alone", cache: subject.cache).bytes == 5)
      #expect(subject.store.models().map(\.name) == ["tester/tiny:Q4_K_M"])
    }
  }

  /// Lays files out as Hugging Face's programs do: contents in `blobs`, links in the snapshot.
  private func lay(_ files: [String: [UInt8]], in subject: PullSubject) throws -> String {
    let folder = subject.folder + "/hf/hub/models--tester--tiny"
    let commit = String(repeating: "c", count: 40)
    for path in ["blobs", "refs", "snapshots/" + commit] {
      try FileManager.default.createDirectory(atPath: folder + "/" + path, withIntermediateDirectories: true)
    }
    try write(commit, to: "main", in: folder + "/refs")
    for (name, bytes) in files {
      try write(bytes, to: HubServer.digest(bytes), in: folder + "/blobs")
      let link = folder + "/snapshots/\(commit)/" + name
      try FileManager.default.createDirectory(
        atPath: String(link[..<link.lastIndex(of: "/")!]), withIntermediateDirectories: true)
      try FileManager.default.createSymbolicLink(
        atPath: link, withDestinationPath: folder + "/blobs/" + HubServer.digest(bytes))
    }
    return folder + "/snapshots/" + commit
  }

  @Test func `what Hugging Face's programs fetched serves as it is, and is not removed`() throws {
    try PullSubject.with(Self.files) { (subject) throws in
      let snapshot = try lay(Self.files, in: subject)
      let expected = [
        (nil, snapshot + "/a-Q4_K_M.gguf", 400), ("q8_0", snapshot + "/b/a-Q8_0-00001-of-00002.gguf", 1100),
      ]
      for (quantization, path, size) in expected {
        let name = HubServer.repository + (quantization.map { ":" + $0 } ?? "")
        let result = try subject.pull(name)
        #expect(result.wasHere && result.model.path == path && result.model.size == size)
        #expect(result.model.place == .huggingFaceCache)
        #expect(try subject.store.model(#require(ModelName(name)), cache: subject.cache) == result.model)
        let error = #expect(throws: HubError.self) { try subject.store.remove(name, cache: subject.cache) }
        #expect(String(describing: try #require(error)).contains("Hugging Face's cache"))
      }
      #expect(subject.hub.requestCount == 0)
      #expect(subject.cache.models().map(\.name) == ["tester/tiny:Q4_K_M", "tester/tiny:Q8_0"])
    }
  }

  @Test func `what is there in part, or is not what the hub would choose, is pulled`() throws {
    try PullSubject.with(Self.files) { (subject) throws in
      var partly = Self.files
      partly["a-Q4_K_M.gguf"] = nil
      partly["b/a-Q8_0-00002-of-00002.gguf"] = nil
      _ = try lay(partly, in: subject)
      #expect(subject.cache.models().isEmpty)
      #expect(try subject.pull("tester/tiny:Q8_0").model.place == .pulled)
      #expect(try subject.pull().model.name == "tester/tiny:Q4_K_M")
    }
  }

  @Test func `a directory with an index needs all of its shards`() throws {
    var files = [
      "config.json": Array("{}".utf8), "model-1.safetensors": [UInt8]([1, 2]), "model-2.safetensors": [3, 4, 5],
      "model.safetensors.index.json": Array(
        "{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}".utf8),
    ]
    try PullSubject.with(files) { (subject) throws in
      let snapshot = try lay(files, in: subject)
      let result = try subject.pull()
      #expect(result.wasHere && result.model.path == snapshot)
      #expect(result.model.size == files.values.reduce(0) { $0 + $1.count })
    }
    let all = files
    files["model-2.safetensors"] = nil
    try PullSubject.with(all) { (subject) throws in
      _ = try lay(files, in: subject)
      #expect(subject.cache.models().isEmpty)
      #expect(try subject.pull().model.place == .pulled)
    }
  }
}
