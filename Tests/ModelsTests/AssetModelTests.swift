import Foundation
import ModelJSON
import TestSupport
import Testing

/// Small real models against recorded references; they need the assets.
struct AssetModelTests {
  /// llama2.c checkpoints as converted by Scripts/convert-llama2c.py.
  static let converted: URL? = {
    let root = Golden.directory.deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let candidates = [
      ProcessInfo.processInfo.environment["SLUICE_CONVERTED"].map { URL(filePath: $0) },
      root.appending(path: ".build-converted"),
    ]
    return candidates.compactMap { $0 }.first { FileManager.default.fileExists(atPath: $0.path) }
  }()

  static let goldens: [(file: String, model: String)] = [
    ("stories260K_0", "stories260K"), ("stories260K_1", "stories260K"), ("stories260K_2", "stories260K"),
    ("stories260K_0", "stories260K_v1"), ("babyllama105_0", "tok105_model5000"),
    ("babyllama105_1", "tok105_model5000"), ("babyllama361_0", "tok361_model5000"),
    ("babyllama361_1", "tok361_model5000"),
  ]

  @Test(
    "llama2.c checkpoints give the recorded logits and greedy ids",
    .enabled(
      if: Assets.available && converted != nil, "no converted models: run Scripts/convert-llama2c.py on the assets"),
    arguments: goldens)
  func llama2c(_ golden: (file: String, model: String)) throws {
    try check(golden: golden.file, model: Self.converted!.appending(path: golden.model).path)
  }

  @Test(
    "TinyStories-656K gives the recorded logits and greedy ids", .enabled(if: Assets.available, "\(Assets.missing)"),
    arguments: ["tinystories656k_0", "tinystories656k_1"])
  func tinyStories(_ golden: String) throws {
    try check(golden: golden, model: Assets.path("models/tinystories-656k"))
  }

  private func check(golden name: String, model: String) throws {
    let golden = try Golden.json(Assets.path("models/golden/\(name).json"))
    let runner = try ModelRunner(model)
    let prompt = golden["prompt_ids"]!.tokens
    let last = try #require(runner.logits(prompt, cache: try runner.makeCache()).last)
    #expect(largestDifference(last, golden["logits_after_prompt"]!.floats) < 1e-3)
    guard golden["min_top1_top2_logit_gap"]!.double! > 1e-3 else { return }
    let expected = golden["greedy_ids"]!.tokens
    #expect(runner.greedy(prompt, count: expected.count, cache: try runner.makeCache()) == expected)
  }
}
