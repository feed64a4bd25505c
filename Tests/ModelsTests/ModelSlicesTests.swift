import KVCaches
import Kernels
import ModelJSON
import Testing
import Weights

@testable import Models

/// Models as programs between which their attention runs elsewhere.
struct ModelSlicesTests {
  private typealias Slice = ModelSlices.Slice

  private func slices(_ model: String) throws -> ModelSlices {
    try ModelRegistry.slices(of: WeightFile.open(Golden.path(model)))
  }

  @Test func `a Llama keeps its residual stream, and runs nothing meanwhile`() throws {
    let model = try slices("llama3-rope.gguf")
    let configuration = try ModelRegistry.configuration(of: WeightFile.open(Golden.path("llama3-rope.gguf")))
    let layer = configuration.layers[0]
    let sent = Slice(
      untilStored: ["attn_k|attn_v"], queryWidth: layer.queryHeads * layer.headDim,
      storedWidth: 2 * layer.keyValueHeads * layer.headDim, context: ["residual stream"],
      contextWidth: configuration.hiddenSize)
    let rest = ["+attn_output", "ffn_norm", "ffn_gate|ffn_up", "silu", "+ffn_down"]
    var first = sent
    first.untilQueries = ["embed", "attn_norm", "attn_q"]
    var middle = sent
    middle.untilQueries = rest + ["attn_norm", "attn_q"]
    let count = configuration.layers.count
    #expect(model.layers == Array(0..<count))
    #expect(
      model.slices == [first] + Array(repeating: middle, count: count - 1) + [
        Slice(untilQueries: rest + ["output_norm", "output"])
      ])
  }

  @Test(arguments: ["falcon", "falcon-groups.gguf", "gptneox", "phi2", "cohere", "stablelm-parallel"])
  func `a parallel feed-forward runs while attention does`(name: String) throws {
    let model = try slices(name)
    for slice in model.slices.dropLast() {
      #expect(slice.meanwhile.last == "+ffn_down" && slice.meanwhile.contains { $0.hasSuffix("ffn_up") })
      #expect(slice.context == ["+ffn_down"])
    }
    for slice in model.slices.dropFirst() {
      #expect(slice.untilQueries[0] == "+attn_output" && !slice.untilQueries.contains("+ffn_down"))
    }
  }

  @Test(arguments: ["gptneox-sequential", "stablelm", "falcon"])
  func `what is not parallel waits`(name: String) throws {
    let model = try slices(name)
    #expect(model.slices[0].meanwhile.isEmpty == (name != "falcon"))
  }

  @Test func `norms of queries come before what keys need`() throws {
    let slice = try slices("qwen3").slices[1]
    #expect(Array(slice.untilQueries.suffix(3)) == ["attn_norm", "attn_q", "attn_q_norm"])
    #expect(slice.untilStored == ["attn_k|attn_v", "attn_k_norm"])
    #expect(slice.meanwhile.isEmpty)
  }

  @Test func `a slice goes through layers with a recurrent state; gates of attention are kept`() throws {
    let configuration = try ModelRegistry.configuration(of: WeightFile.open(Golden.path("qwen35")))
    let model = try slices("qwen35")
    let attending = configuration.layers.indices.filter { configuration.layers[$0].recurrence == nil }
    #expect(model.layers == attending && model.slices.count == attending.count + 1)
    let first = model.slices[0]
    #expect(first.untilQueries.count(where: { $0 == "delta rule" }) == attending[0])
    #expect(first.untilQueries.suffix(2) == ["attn_q", "attn_q_norm"])
    #expect(first.untilStored == ["attn_k|attn_v", "attn_k_norm"])
    // The gate is wider than what it is made of, which is therefore kept in its place.
    #expect(first.meanwhile.isEmpty && model.slices[1].untilQueries[0] == "attn_q_gate")
    #expect(first.context == ["residual stream", "attn_norm"])
  }

  @Test func `what stands beside the residual stream is kept for later layers`() throws {
    let model = try slices("gemma4")
    let hidden = try ModelRegistry.configuration(of: WeightFile.open(Golden.path("gemma4"))).hiddenSize
    let widths = model.slices.dropLast().map { $0.contextWidth - hidden }
    #expect(widths.last.map { $0 > 0 } ?? false)
    #expect(zip(widths, widths.dropFirst()).allSatisfy { $0 - $1 == widths[widths.count - 1] })
    // Layers that read the keys of earlier ones send none.
    #expect(model.slices.contains { $0.storedWidth == 0 && $0.queryWidth > 0 })
  }

  /// The whole table: what a token keeps, by its makers, in every family.
  @Test(arguments: FamilyLogitsTests.models)
  func `in every family only the residual stream and what gates attention are kept`(name: String) throws {
    let configuration = try ModelRegistry.configuration(of: WeightFile.open(Golden.path(name)))
    let model = try slices(name)
    #expect(model.layers == configuration.layers.indices.filter { configuration.layers[$0].recurrence == nil })
    let beside = name.hasPrefix("gemma4") ? Int.max / 2 : 0
    for (slice, index) in zip(model.slices, model.layers) {
      let layer = configuration.layers[index]
      let queries = layer.queryHeads * layer.headDim
      #expect(slice.queryWidth == queries)
      #expect(slice.storedWidth == (layer.keepsKeys ? 2 * layer.keyValueHeads * layer.headDim : 0))
      let gate = name.hasPrefix("qwen35") ? min(queries, configuration.hiddenSize) : 0
      #expect(slice.context.count == (gate > 0 ? 2 : 1) + (slice.context.contains("beside") ? 1 : 0))
      #expect((configuration.hiddenSize + gate...configuration.hiddenSize + gate + beside).contains(slice.contextWidth))
      // Nothing that multiplies and could run meanwhile waits behind the result.
      #expect(slice.untilQueries.contains { $0.hasPrefix("attn_q") })
    }
  }

  @Test(arguments: FamilyLogitsTests.models)
  func `queries multiplied apart are the same bit for bit`(name: String) throws {
    let ids = try GoldenLogitsTests.golden(of: name)["ids"]!.tokens
    let logits = try [false, true].map { queriesFirst in
      let runner = try ModelRunner(Golden.path(name), chunk: 16, arithmetic: .int8, queriesFirst: queriesFirst)
      return runner.logits(ids, cache: try runner.makeCache())
    }
    #expect(logits[0] == logits[1])
  }
}
