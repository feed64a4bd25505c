/// Who makes the values of a graph and who reads them.
struct GraphUses {
  /// The node that makes a value, `[value]`.
  private var makers: [LayerGraph.Node?]
  private var readers: [[LayerGraph.Node]]

  init(_ graph: LayerGraph) {
    makers = [LayerGraph.Node?](repeating: nil, count: graph.count)
    readers = [[LayerGraph.Node]](repeating: [], count: graph.count)
    for node in graph.nodes {
      for value in node.outputs { makers[value.index] = node }
      for value in node.inputs { readers[value.index].append(node) }
    }
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
}
