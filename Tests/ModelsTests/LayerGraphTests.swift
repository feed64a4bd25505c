import Kernels
import TestSupport
import Testing
import Weights

@testable import Models

/// The order in which a graph's operations run, and the buffers that their values share.
struct LayerGraphTests {
  private let norm = Norm(epsilon: 1e-5)

  /// What runs, one word a node; a product that is added in place stands for its sum.
  private func words(_ graph: LayerGraph) -> [String] {
    let plan = OrderedGraph(graph)
    return plan.steps.map(\.node).enumerated().flatMap { step, node -> [String] in
      let begins = (step == plan.queriesStep ? ["begin"] : []) + (step == plan.storedStep ? ["offer"] : [])
      switch node.operation {
      case .input: return ["input"]
      case .norm(let name, _, _): return [name ?? "norm"] + begins
      case .linear(let matrices, let part):
        return plan.isAddedInPlace(node) ? [] : [matrices[part.lowerBound].name] + begins
      case .activation: return ["activation"]
      case .sum:
        guard case .linear(let matrices, _) = plan.productAddedInPlace(by: node)?.operation else { return ["sum"] }
        return ["+" + matrices[0].name]
      case .scale: return ["scale"]
      case .softCap: return ["cap"]
      case .attention: return ["finish"]
      default: return ["other"]
      }
    }
  }

  private func attention(_ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    let projected = graph.linear(
      graph.norm(x, "norm"), .init("q", rows: 8), .init("k", rows: 4), .init("v", rows: 4))
    return graph.attention(projected[0], projected[1], projected[2])
  }

  @Test func `one thing after the other`() {
    let graph = LayerGraph(width: 8, norm: norm) { graph, x in
      let y = graph.sum(x, graph.linear(attention(&graph, x), "out", rows: 8))
      let wide = graph.linear(graph.norm(y, "norm2"), .init("gate", rows: 16), .init("up", rows: 16))
      return graph.sum(y, graph.linear(graph.activation(.silu, wide[0], wide[1]), "down", rows: 8))
    }
    #expect(
      words(graph) == [
        "input", "norm", "q", "begin", "offer", "finish", "+out", "norm2", "gate", "activation", "+down",
      ])
  }

  @Test func `a parallel feed-forward runs while memory attends`() {
    let graph = LayerGraph(width: 8, norm: norm) { graph, x in
      let attended = attention(&graph, x)
      let wide = graph.linear(graph.norm(x, "norm2"), "up", rows: 16)
      let y = graph.sum(x, graph.linear(graph.activation(.geluErf, wide), "down", rows: 8))
      return graph.sum(y, graph.linear(attended, "out", rows: 8))
    }
    #expect(
      words(graph) == ["input", "norm", "q", "begin", "offer", "norm2", "up", "activation", "+down", "finish", "+out"])
  }

  @Test func `attention begins with the norm of the queries, and norms after products are no part of a sum`() {
    let graph = LayerGraph(width: 8, norm: norm) { graph, x in
      let projected = graph.linear(
        graph.norm(x, "norm"), .init("q", rows: 8), .init("k", rows: 8), .init("v", rows: 8))
      let queries = graph.headNorm(projected[0], "qnorm", size: 4)
      let attended = graph.attention(queries, graph.headNorm(projected[1], "knorm", size: 4), projected[2])
      return graph.sum(x, graph.norm(graph.linear(attended, "out", rows: 8), "post"))
    }
    #expect(words(graph) == ["input", "norm", "q", "qnorm", "begin", "knorm", "offer", "finish", "out", "post", "sum"])
  }

  @Test func `queries by themselves are handed over before there are keys`() {
    let graph = LayerGraph(width: 8, norm: norm) { graph, x in
      let normed = graph.norm(x, "norm")
      let queries = graph.linear(normed, "q", rows: 8)
      let others = graph.linear(normed, .init("k", rows: 8), .init("v", rows: 8))
      return graph.sum(x, graph.linear(graph.attention(queries, others[0], others[1]), "out", rows: 8))
    }
    #expect(words(graph) == ["input", "norm", "q", "begin", "k", "offer", "finish", "+out"])
  }

  /// Hidden state, chosen rows, normed and attended, queries, keys, values, gate, up, activated, and two for the logits.
  @Test func `layers and values that do not live together share buffers`() throws {
    try withTemporaryDirectory { folder in
      let path = try TinyModel().write(in: folder)
      let buffers = try ModelRegistry.load(WeightFile.open(path), team: WorkerTeam(threads: 1)).buffers
      #expect(buffers.entries.map(\.width) == [32, 32, 32, 32, 16, 16, 64, 64, 64, 32, TinyModel.vocabularySize])
      #expect(buffers.entries.count(where: \.feedsProducts) == 3)
      #expect(buffers.lowRankWidth == 0)
    }
    let gemma = try ModelRegistry.load(
      WeightFile.open(Golden.path("gemma3.gguf")), team: WorkerTeam(threads: 1)
    ).buffers
    // What is normalised before it is added takes the place of the queries.
    #expect(gemma.entries.count == 11)
  }

  @Test func `a buffer is lent once`() {
    var plan = BufferPlan(hiddenSize: 4)
    let entry = BufferPlan.Entry(width: 4, feedsProducts: true, isForLogits: false)
    let (first, second) = (plan.take(entry), plan.take(entry))
    #expect(first != second && first > BufferPlan.chosen)
    plan.giveBack(first)
    #expect(plan.take(.init(width: 4, feedsProducts: false, isForLogits: false)) > second)
    #expect(plan.take(entry) == first)
  }
}
