import Foundation
import ModelJSON
import TestSupport
import Testing

/// The default model against PyTorch on its dequantised weights.
struct DefaultModelTests {
  static let path: String? = {
    let environment = ProcessInfo.processInfo.environment
    let cache = environment["XDG_CACHE_HOME"] ?? (environment["HOME"] ?? "") + "/.cache"
    let path = (environment["SLUICE_MODELS"] ?? cache + "/sluice/models") + "/SmolLM2-135M-Instruct.Q4_1.gguf"
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }()

  @Test(
    "logits are within 1e-3 with float32 activations",
    .enabled(if: path != nil, "the default model is not here: run Scripts/fetch-model"))
  func logits() throws {
    let golden = try Golden.json(Golden.path("smollm2-logits.json"))
    let runner = try ModelRunner(Self.path!)
    try Self.check(runner, against: golden)
  }

  /// Compares some logits at some positions, and the likeliest token there.
  static func check(_ runner: ModelRunner, against golden: JSONValue) throws {
    let logits = runner.logits(golden["ids"]!.tokens, cache: try runner.makeCache())
    let indices = golden["indices"]!.integers
    for entry in golden["positions"]!.array! {
      let row = logits[entry["position"]!.integer!]
      #expect(largestDifference(indices.map { row[$0] }, entry["logits"]!.floats) < 1e-3)
      #expect(row.indices.max { row[$0] < row[$1] } == entry["argmax"]!.integer)
    }
  }
}
