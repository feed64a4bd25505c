/// A layer's operations in the order in which they run, and who reads what.
struct OrderedGraph {
  private(set) var nodes: [LayerGraph.Node] = []
  /// The step that reads a value last, `[value]`; -1 where none does. The graph's output outlives them all.
  private(set) var lastUse: [Int]
  /// The node of the graph that makes a value, `[value]`.
  private var makers: [LayerGraph.Node?]
  private var readers: [[LayerGraph.Node]]

  init(_ graph: LayerGraph) {
    lastUse = [Int](repeating: -1, count: graph.count)
    makers = [LayerGraph.Node?](repeating: nil, count: graph.count)
    readers = [[LayerGraph.Node]](repeating: [], count: graph.count)
    for node in graph.nodes {
      for value in node.outputs { makers[value.index] = node }
      for value in node.inputs { readers[value.index].append(node) }
    }
    var isPlaced = [Bool](repeating: false, count: graph.count)
    for node in graph.nodes where !waits(node) { place(node, &isPlaced) }
    for (step, node) in nodes.enumerated() {
      for value in node.inputs { lastUse[value.index] = step }
      // What a product that is added in place reads is read where the sum stands.
      for value in productAddedInPlace(by: node)?.inputs ?? [] { lastUse[value.index] = step }
    }
    lastUse[graph.output.index] = nodes.count
  }

  /// Whether a node runs only when its result is asked for.
  private func waits(_ node: LayerGraph.Node) -> Bool {
    if case .attention = node.operation { true } else { isAddedInPlace(node) }
  }

  private mutating func place(_ node: LayerGraph.Node, _ isPlaced: inout [Bool]) {
    for value in node.inputs where !isPlaced[value.index] {
      if let maker = makers[value.index] { place(maker, &isPlaced) }
    }
    for value in node.outputs { isPlaced[value.index] = true }
    nodes.append(node)
  }

  /// Whether all that happens to a product is that it is added to something.
  func isAddedInPlace(_ node: LayerGraph.Node) -> Bool {
    guard case .linear = node.operation, node.outputs.count == 1 else { return false }
    let readers = readers[node.outputs[0].index]
    guard readers.count == 1, case .sum = readers[0].operation else { return false }
    return readers[0].inputs[1] == node.outputs[0]
  }

  /// The product that a sum adds in place.
  func productAddedInPlace(by node: LayerGraph.Node) -> LayerGraph.Node? {
    guard case .sum = node.operation, let maker = makers[node.inputs[1].index], isAddedInPlace(maker) else {
      return nil
    }
    return maker
  }

  /// Whether matrices read a value.
  func feedsProducts(_ value: LayerGraph.Value) -> Bool {
    readers[value.index].contains { if case .linear = $0.operation { true } else { false } }
  }

  func areQueries(_ value: LayerGraph.Value) -> Bool {
    readers[value.index].contains { if case .attention = $0.operation { $0.inputs[0] == value } else { false } }
  }
}
