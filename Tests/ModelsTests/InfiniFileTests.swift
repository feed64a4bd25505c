import Foundation
import KVCaches
import Kernels
import ModelJSON
import Models
import TestSupport
import Testing
import Weights

/// Models with a memory and adapters that bring one, as `Training` writes them (`make record` there), against PyTorch: files
/// say what they need, and 64 segments give its logits.
struct InfiniFileTests {
  private static let folder = Golden.path("infini")
  static let plans = [
    "infini-linear-bypass": "segment:8,compressive",
    "infini-delta-bypass.gguf": "segment:8,compressive[update=delta]",
    "infini-linear-scaled.gguf": "segment:8,compressive[first=scaled]",
    "infini-delta-scaled": "segment:8,compressive[update=delta,first=scaled]",
  ]

  private struct Reference {
    let ids: [Int32]
    private let rows: [JSONValue]

    init(_ name: String) throws {
      let json = try Golden.json(InfiniFileTests.folder + "/infini.json")
      ids = json["ids"]?.tokens ?? []
      rows = try #require(json["cases"]?[name]?["logits"]?.array)
      #expect(ids.count == 512 && rows.count == 512)
    }

    /// The largest error of rows that begin at a token, relative to 1 or the logit.
    func error(_ logits: [[Float]], from first: Int = 0) -> Float {
      var largest: Float = 0
      for (row, logits) in logits.enumerated() {
        for (index, value) in rows[first + row].object ?? JSONObject() {
          let expected = Float(value.double ?? .nan)
          let error = abs(logits[Int(index) ?? 0] - expected) / max(1, abs(expected))
          largest = error.isFinite ? max(largest, error) : .infinity
        }
      }
      return largest
    }
  }

  private func plan(_ runner: ModelRunner, _ specification: String = "infini") throws -> KVCache.Plan {
    try KVCache.Plan(specification, resolver: .none.model(runner.model.configuration.memory))
  }

  @Test("64 segments in chunks and token by token, across a snapshot in a segment", arguments: plans.keys.sorted())
  func segments(name: String) throws {
    let (reference, runner) = (try Reference(name), try ModelRunner(Self.folder + "/" + name))
    let plan = try plan(runner)
    #expect(plan.description == Self.plans[name])
    let whole = runner.logits(reference.ids, cache: try runner.makeCache(plan))
    #expect(reference.error(whole) < 1e-4)
    let cache = try runner.makeCache(plan)
    var single = reference.ids[..<347].flatMap { runner.logits([$0], cache: cache) }
    let restored = try runner.makeCache(plan)
    try restored.restore(cache.snapshot())
    single += reference.ids[347...].flatMap { runner.logits([$0], cache: restored) }
    #expect(reference.error(single) < 1e-4)
  }

  @Test("sequences that go through together do not meet, and tokens of a segment can be taken back")
  func together() throws {
    let name = "infini-delta-bypass.gguf"
    let (reference, runner) = (try Reference(name), try ModelRunner(Self.folder + "/" + name))
    let caches = try (0..<3).map { _ in try runner.makeCache(plan(runner)) }
    try caches[0].keepUndoLog(depth: 8)
    var first = 0
    while first < 128 {
      // The second sequence is one segment behind, the third asks for other tokens altogether.
      var parts = [(ids: Array(reference.ids[first..<first + 4]), cache: caches[0])]
      if first >= 8 { parts.append((Array(reference.ids[first - 8..<first - 4]), caches[1])) }
      parts.append((Array(reference.ids[(first + 200)..<(first + 204)]), caches[2]))
      let logits = runner.logits(parts)
      #expect(reference.error(logits[0], from: first) < 1e-4)
      if first >= 8 { #expect(reference.error(logits[1], from: first - 8) < 1e-4) }
      first += 4
    }
    #expect(try caches[0].rollBack(tokens: 5) == 5)
    #expect(reference.error(runner.logits(Array(reference.ids[123..<140]), cache: caches[0]), from: 123) < 1e-4)
  }

  @Test("an adapter brings gates to a model without", arguments: ["infini-adapter", "infini-adapter.gguf"])
  func adapter(name: String) throws {
    let reference = try Reference("infini-base")
    let adapter = try LowRankAdapter(WeightFile.openAdapter(Self.folder + "/" + name))
    let runner = try ModelRunner(Self.folder + "/infini-base", adapters: [adapter])
    let plan = try plan(runner)
    #expect(plan.description == "segment:8,compressive[update=delta]")
    #expect(reference.error(runner.logits(reference.ids, cache: try runner.makeCache(plan))) < 1e-4)
    let file = try WeightFile.open(Self.folder + "/infini-base")
    #expect(try ModelRegistry.configuration(of: file, adapters: [adapter]).memory == runner.model.configuration.memory)
    #expect(try ModelRegistry.configuration(of: file).memory == TrainedMemory())
  }

  @Test("what is declared can be overridden, and a cache without the memory is refused in a line")
  func caches() throws {
    let name = "infini-linear-bypass"
    let (reference, runner) = (try Reference(name), try ModelRunner(Self.folder + "/" + name))
    let other = try plan(runner, "infini:8[update=delta]")
    #expect(reference.error(runner.logits(reference.ids, cache: try runner.makeCache(other))) > 1e-2)
    for specification in ["full", "streaming-llm:4+60", "segment:8", "window:8"] {
      let problem = #expect(throws: KVCacheError.self, "\(specification)") {
        try runner.makeCache(KVCache.Plan(specification))
      }
      #expect(problem?.description.contains("needs the cache 'infini'") == true)
    }
  }

  @Test(
    "declarations that cannot be are refused in a line that names the key",
    arguments: [
      (#""segment": 8"#, #""segment": 0"#, "infini.segment"),
      (#""segment": 8"#, #""segment": 4294967296"#, "infini.segment"),
      (#""segment": 8"#, #""segment": "eight""#, "infini.segment"),
      (#""update": "linear""#, #""update": "delta-rule""#, "'linear' or 'delta'"),
      (#""first_segment": "bypass""#, #""first_segment": 1"#, "infini.first_segment"),
      (#""epsilon": 1e-06"#, #""epsilon": 0.001"#, "infini.epsilon"),
      (#""infini": {"#, #""sink_token_id": -1, "infini": {"#, "sink_token_id"),
    ])
  func hostile(text: String, replacement: String, part: String) throws {
    try withTemporaryDirectory { folder in
      let model = Self.folder + "/infini-linear-bypass"
      let config = try String(contentsOfFile: model + "/config.json", encoding: .utf8)
      #expect(config.contains(text))
      try write(config.replacing(text, with: replacement), to: "config.json", in: folder)
      try FileManager.default.copyItem(
        atPath: model + "/model.safetensors", toPath: folder + "/model.safetensors")
      let problem = #expect(throws: (any Error).self) { try ModelRegistry.configuration(of: WeightFile.open(folder)) }
      let line = problem.map { "\($0)" } ?? ""
      #expect(line.contains(part) && !line.contains("\n"), "\(line)")
    }
  }

  @Test("gates without a memory, a memory without gates, and two adapters with gates are refused")
  func gates() throws {
    try withTemporaryDirectory { folder in
      let base = Self.folder + "/infini-base"
      let config = try String(contentsOfFile: base + "/config.json", encoding: .utf8)
      try write(
        config.replacing("{\n", with: "{\n\"infini\": {\"segment\": 8},\n", maxReplacements: 1), to: "config.json",
        in: folder)
      try FileManager.default.copyItem(atPath: base + "/model.safetensors", toPath: folder + "/model.safetensors")
      let team = try WorkerTeam(threads: 1)
      let problem = #expect(throws: ModelError.self) {
        try ModelRegistry.load(WeightFile.open(folder), adapters: [], team: team)
      }
      #expect(problem?.description.contains("no gates") == true)
      let gated = try LowRankAdapter(WeightFile.openAdapter(Self.folder + "/infini-adapter"))
      let two = #expect(throws: ModelError.self) {
        try ModelRegistry.load(WeightFile.open(base), adapters: [gated, gated], team: team)
      }
      #expect(two?.description.contains("only one adapter may") == true)
      try makeDirectory("adapter", in: folder)
      let description = try String(contentsOfFile: Self.folder + "/infini-adapter/adapter_config.json", encoding: .utf8)
      try write(
        description.replacing("\"infini\"", with: "\"other\""), to: "adapter/adapter_config.json", in: folder)
      try FileManager.default.copyItem(
        atPath: Self.folder + "/infini-adapter/adapter_model.safetensors",
        toPath: folder + "/adapter/adapter_model.safetensors")
      let undeclared = try LowRankAdapter(WeightFile.openAdapter(folder + "/adapter"))
      let silent = #expect(throws: ModelError.self) {
        try ModelRegistry.load(WeightFile.open(base), adapters: [undeclared], team: team)
      }
      #expect(silent?.description.contains("does not say how long") == true)
    }
  }
}
