import Kernels
import Testing

@testable import Models

/// Where layers are cut at attention.
struct AttentionCutTests {
  private typealias Value = LayerGraph.Value

  /// A layer of random operations around one attention, without operations in place.
  private func randomGraph(_ random: inout SplitMix64) -> LayerGraph {
    LayerGraph(width: 4, norm: Norm(epsilon: 1e-5)) { graph, x in
      var values = [x]
      func add(_ count: Int) {
        for _ in 0..<count {
          let (first, second) = (values.randomElement(using: &random) ?? x, values.randomElement(using: &random) ?? x)
          switch Int.random(in: 0..<4, using: &random) {
          case 0: values.append(graph.norm(first, "norm"))
          case 1: values.append(graph.linear(first, "wide", rows: .random(in: 1...9, using: &random)))
          case 2:
            let width = Int.random(in: 1...9, using: &random)
            values += graph.linear(first, .init("a", rows: width), .init("b", rows: width + 1))
          default:
            values.append(first.width == second.width ? graph.product(first, second) : graph.norm(second, "norm"))
          }
        }
      }
      add(.random(in: 1...3, using: &random))
      let projected = graph.linear(
        values[values.count - 1], .init("q", rows: 4), .init("k", rows: 2), .init("v", rows: 2))
      add(.random(in: 0...4, using: &random))
      let attended = graph.attention(projected[0], projected[1], projected[2])
      values.append(attended)
      add(.random(in: 0...3, using: &random))
      let last = graph.linear(values.randomElement(using: &random) ?? x, "last", rows: 4)
      return graph.product(last, graph.linear(attended, "out", rows: 4))
    }
  }

  /// The fewest numbers to be kept over all ways to divide a layer, and the most operations before the cut in one of those.
  private func best(_ graph: LayerGraph) -> (width: Int, early: Int)? {
    let nodes = graph.nodes
    guard let attention = nodes.firstIndex(where: { if case .attention = $0.operation { true } else { false } })
    else { return nil }
    let handedOver = Set(nodes[attention].inputs)
    func isAllowed(_ early: Int) -> Bool {
      let isEarly = { (index: Int) in early >> index & 1 == 1 }
      let made = Set(nodes.indices.filter(isEarly).flatMap { nodes[$0].outputs })
      return !isEarly(attention) && handedOver.isSubset(of: made)
        && nodes.indices.allSatisfy { !isEarly($0) || made.isSuperset(of: nodes[$0].inputs) }
    }
    var best: (width: Int, early: Int)?
    for early in 0..<1 << nodes.count where isAllowed(early) {
      let made = Set(nodes.indices.filter { early >> $0 & 1 == 1 }.flatMap { nodes[$0].outputs })
      let late = nodes.indices.filter { early >> $0 & 1 == 0 && $0 != attention }
      let kept = made.intersection(late.flatMap { nodes[$0].inputs } + [graph.output])
      let found = (width: kept.reduce(0) { $0 + $1.width }, early: early.nonzeroBitCount)
      if best.map({ found.width < $0.width || (found.width == $0.width && found.early > $0.early) }) ?? true {
        best = found
      }
    }
    return best
  }

  @Test(arguments: 0..<60) func `keeps as little as any cut, and does as much before it`(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let graph = randomGraph(&random)
    try #require(graph.nodes.count <= 16)
    let expected = try #require(best(graph))
    let layer = LayerUnits(graph)
    try #require(layer.units.count == graph.nodes.count)
    let cut = AttentionCut(layer, output: graph.output)
    #expect(cut.width == expected.width)
    #expect(cut.isEarly.count(where: { $0 }) == expected.early)
    #expect(cut.context.reduce(0) { $0 + $1.width } == cut.width)
  }

  @Test(arguments: 0..<60) func `operations run after those whose results they read`(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let graph = randomGraph(&random)
    let ordered = OrderedGraph(graph)
    var made: Set<Value> = []
    for step in ordered.steps {
      #expect(made.isSuperset(of: step.node.inputs))
      made.formUnion(step.node.outputs)
    }
    #expect(ordered.steps.count == graph.nodes.count)
    let phases = ordered.steps.map(\.phase)
    #expect(phases == phases.sorted())
  }

  @Test func `who reads a value runs before who overwrites it`() {
    let graph = LayerGraph(width: 4, norm: Norm(epsilon: 1e-5)) { graph, x in
      let other = graph.norm(x, "late")
      let y = graph.sum(x, graph.norm(x, "branch"))
      let projected = graph.linear(graph.norm(y, "norm"), .init("q", rows: 4), .init("k", rows: 2), .init("v", rows: 2))
      let attended = graph.attention(projected[0], projected[1], projected[2])
      return graph.sum(y, graph.product(attended, other))
    }
    let names = OrderedGraph(graph).steps.compactMap { step -> String? in
      switch step.node.operation {
      case .norm(let name, _, _): name
      case .sum: "sum"
      case .attention: "attention"
      default: nil
      }
    }
    #expect(names == ["late", "branch", "sum", "norm", "attention", "sum"])
  }

  @Test func `queries may be multiplied apart from what else reads their input`() {
    let graph = LayerGraph(width: 4, norm: Norm(epsilon: 1e-5)) { graph, x in
      let projected = graph.linear(graph.norm(x, "norm"), .init("q", rows: 4), .init("k", rows: 2), .init("v", rows: 2))
      let wide = graph.linear(graph.norm(x, "norm"), .init("gate", rows: 8), .init("up", rows: 8))
      let attended = graph.attention(projected[0], projected[1], projected[2])
      return graph.sum(graph.sum(x, graph.linear(graph.product(wide[0], wide[1]), "down", rows: 4)), attended)
    }
    let parts = graph.multiplyingQueriesApart().nodes.compactMap { node -> [String]? in
      guard case .linear(let matrices, let part) = node.operation else { return nil }
      #expect(node.outputs.map(\.width) == matrices[part].map(\.rows))
      return matrices[part].map(\.name)
    }
    #expect(parts == [["q"], ["k", "v"], ["gate", "up"], ["down"]])
  }
}
