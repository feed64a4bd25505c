/// A layer's operations in the order in which they run, and when each value is read last.
///
/// Around attention there are four phases. Queries and what they are made of come first, then keys and values, then all that
/// the minimum cut puts before attention's result, then the result and the rest. What a parallel block computes
/// beside attention so runs while a memory elsewhere attends. Within a phase the order is that of the graph.
struct OrderedGraph {
  enum Phase: Int, Comparable {
    case queries, stored, meanwhile, result

    static func < (a: Phase, b: Phase) -> Bool { a.rawValue < b.rawValue }
  }

  struct Step {
    let node: LayerGraph.Node
    /// In a layer that does not attend it is `queries`: all of it comes before the queries of a later layer.
    let phase: Phase
  }

  private(set) var steps: [Step] = []
  /// Nil where the layer does not attend.
  let cut: AttentionCut?
  /// The step that reads a value last, `[value]`; -1 where none does. The graph's output outlives them all.
  private(set) var lastUse: [Int]
  private let uses: GraphUses
  /// The step after which there are queries, and that after which there are keys and values too.
  private(set) var queriesStep: Int?
  private(set) var storedStep: Int?
  /// Queries, and keys and values where the layer has its own.
  let handedOver: [LayerGraph.Value]

  init(_ graph: LayerGraph) {
    uses = GraphUses(graph)
    let layer = LayerUnits(graph)
    let units = layer.units
    cut = layer.attention.map { _ in AttentionCut(layer, output: graph.output) }
    handedOver = layer.attention.map { units[$0].inputs } ?? []
    lastUse = [Int](repeating: -1, count: graph.count)

    var isPlaced = [Bool](repeating: false, count: units.count)
    func place(_ unit: Int, _ phase: Phase) {
      if isPlaced[unit] { return }
      isPlaced[unit] = true
      for earlier in units[unit].predecessors { place(earlier, phase) }
      steps += units[unit].nodes.map { Step(node: $0, phase: phase) }
    }
    if let attention = layer.attention, let cut {
      let makers = handedOver.compactMap { layer.maker(of: $0) }
      place(makers[0], .queries)
      queriesStep = steps.count - 1
      for maker in makers.dropFirst() { place(maker, .stored) }
      if makers.count > 1 { storedStep = steps.count - 1 }
      for unit in units.indices where cut.isEarly[unit] { place(unit, .meanwhile) }
      place(attention, .result)
      for unit in units.indices { place(unit, .result) }
    } else {
      for unit in units.indices { place(unit, .queries) }
    }

    for (step, node) in steps.map(\.node).enumerated() {
      for value in node.inputs { lastUse[value.index] = step }
      // What a product that is added in place reads is read where the sum stands.
      for value in productAddedInPlace(by: node)?.inputs ?? [] { lastUse[value.index] = step }
    }
    lastUse[graph.output.index] = steps.count
  }

  func isAddedInPlace(_ node: LayerGraph.Node) -> Bool { uses.isAddedInPlace(node) }

  func productAddedInPlace(by node: LayerGraph.Node) -> LayerGraph.Node? { uses.productAddedInPlace(by: node) }

  func feedsProducts(_ value: LayerGraph.Value) -> Bool { uses.feedsProducts(value) }
}
