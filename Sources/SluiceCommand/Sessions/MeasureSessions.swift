import ArgumentParser
import Evaluation
import Foundation
import KVCaches
import Kernels
import ModelJSON

extension SessionsCommand {
  struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Measure how fast a session is saved and taken up, and what a turn writes.",
      discussion: "Needs no model: a cache of the given shape is filled with random keys and values.")

    @Option(name: .long, help: "Layers.")
    var layers = 22
    @Option(name: .long, help: "KV heads of a layer.")
    var heads = 4
    @Option(name: .long, help: "Dimensions of a head.")
    var headDim = 64
    @OptionGroup var cache: CacheOptions
    @Option(name: .long, help: "Tokens of the session.")
    var tokens = 2048
    @Option(name: .long, help: "Tokens of a turn, between two saves.")
    var turn = 100
    @Option(name: .long, help: "Measure so often; times are the best, what a turn writes is the median.")
    var rounds = 9
    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func validate() throws {
      for (name, value) in [
        ("layers", layers), ("heads", heads), ("head-dim", headDim), ("tokens", tokens), ("turn", turn),
        ("rounds", rounds),
      ] where !(1...1_000_000).contains(value) {
        throw ValidationError("--\(name) must be from 1 to 1000000, but is \(value)")
      }
    }

    func run() throws {
      let plan = try KVCache.Plan(cache.cache, resolver: .files)
      let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-sessions-\(UUID().uuidString)").path
      do {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      } catch {
        throw CommandError("\(folder): the folder for the measurement cannot be made")
      }
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let run = try SessionStoreRun.measure(
        plan: plan,
        shape: KVCache.Shape(layers: layers, queryHeads: heads, keyValueHeads: heads, headDim: headDim),
        slotType: cache.slots.type, tokens: tokens, turn: turn, rounds: rounds,
        path: folder + "/sessions.sluice", team: try WorkerTeam(threads: nil), kernels: try InstructionSet.select())
      StandardOutput.write(json ? run.json.text + "\n" : text(run))
    }

    private func text(_ run: SessionStoreRun) -> String {
      let milliseconds = { (seconds: Double) in HumanReadable.decimal(seconds * 1000, places: 1) + " ms" }
      var lines = ["session     \(HumanReadable.tokens(tokens)), \(HumanReadable.bytes(run.bytes))"]
      lines.append("in a GiB    \(HumanReadable.count((1 << 30) / max(1, run.bytes))) sessions")
      for tier in run.tiers {
        lines.append("taken up    \(milliseconds(tier.seconds)) from \(tier.name)")
      }
      let ratio = HumanReadable.decimal(Double(run.savedBytes) / Double(max(1, run.turnBytes)), places: 1)
      lines.append(
        "a turn      \(HumanReadable.bytes(run.savedBytes)) written for \(HumanReadable.bytes(run.turnBytes)) of "
          + "\(HumanReadable.tokens(turn)), \(ratio) times as much")
      lines.append(
        "a save      holds up the model for \(milliseconds(run.turnSaveSeconds)), the first one for "
          + milliseconds(run.wholeSaveSeconds))
      return lines.joined(separator: "\n") + "\n"
    }
  }
}

extension SessionStoreRun {
  fileprivate var json: JSONValue {
    var object = JSONObject()
    object["bytes"] = JSONValue(bytes)
    for tier in tiers { object[tier.name + "_seconds"] = .number(tier.seconds) }
    object["turn_bytes"] = JSONValue(turnBytes)
    object["saved_bytes"] = JSONValue(savedBytes)
    object["turn_save_seconds"] = .number(turnSaveSeconds)
    object["whole_save_seconds"] = .number(wholeSaveSeconds)
    return .object(object)
  }
}
