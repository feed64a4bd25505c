import Kernels
import ModelJSON
import Models
import TestSupport
import Testing
import Weights

/// Logits with low-rank adapters against PyTorch, with the adapter's products added to the weights there.
struct AdapterLogitsTests {
  private static let golden = Result { try Golden.json(Golden.path("adapters/golden.json")) }
  private static let cases = 0..<7

  private func adapters(_ entry: JSONValue) throws -> [LowRankAdapter] {
    try (entry["adapters"]?.array ?? []).map { adapter in
      let name = try #require(adapter["name"]?.string)
      return try LowRankAdapter(
        WeightFile.openAdapter(Golden.path("adapters/" + name)), scale: try #require(adapter["scale"]?.double))
    }
  }

  private func check(_ index: Int, chunk: Int, kernels: InstructionSet = .current) throws {
    let golden = try Self.golden.get()
    let entry = golden["cases"]!.array![index]
    let runner = try ModelRunner(
      Golden.path(try #require(entry["base"]?.string)), adapters: adapters(entry), chunk: chunk, kernels: kernels)
    let logits = runner.logits(golden["ids"]!.tokens, cache: try runner.makeCache())
    for (position, expected) in zip(golden["positions"]!.integers, entry["logits"]!.array!) {
      #expect(
        largestDifference(logits[position], expected.floats) < 1e-4,
        "\(entry["base"]!.text) \(entry["adapters"]!.text) position \(position), \(kernels.name)")
    }
  }

  @Test("there are as many cases as are tested")
  func count() throws { #expect(try Self.golden.get()["cases"]!.array!.count == Self.cases.count) }

  /// Both layouts of queries and keys meet adapters of both.
  @Test("equal the references within 1e-4, whatever the chunk", arguments: cases, [1, 5, 64])
  func logits(_ index: Int, chunk: Int) throws { try check(index, chunk: chunk) }

  @Test("are the same with every instruction set", arguments: cases)
  func instructionSets(_ index: Int) throws {
    for kernels in InstructionSet.available { try check(index, chunk: 16, kernels: kernels) }
  }

  @Test(
    "of the default model with the recall adapter are within 1e-3 with float32 activations",
    .enabled(
      if: DefaultModelTests.path != nil && Assets.available, "the default model or the recall adapter is not here"))
  func recallAdapter() throws {
    let golden = try Golden.json(Golden.path("smollm2-recall-logits.json"))
    let adapter = try LowRankAdapter(WeightFile.openAdapter(Assets.path("adapters/recall")))
    let runner = try ModelRunner(DefaultModelTests.path!, adapters: [adapter])
    try DefaultModelTests.check(runner, against: golden)
  }
}
