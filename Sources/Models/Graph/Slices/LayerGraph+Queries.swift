extension LayerGraph {
  /// The graph with queries multiplied apart from keys, values and whatever else reads the same input, so that they are there
  /// sooner. Costs a join of the worker team for each group that is divided.
  func multiplyingQueriesApart() -> LayerGraph {
    guard let attention = nodes.first(where: { if case .attention = $0.operation { true } else { false } }) else {
      return self
    }
    let makers = Dictionary(
      nodes.flatMap { node in node.outputs.map { ($0, node) } }, uniquingKeysWith: { first, _ in first })
    func sources(of some: some Sequence<Value>) -> Set<Value> {
      var found: Set<Value> = []
      var queue = Array(some)
      while let value = queue.popLast() {
        if found.insert(value).inserted { queue += makers[value]?.inputs ?? [] }
      }
      return found
    }
    let queries = sources(of: attention.inputs.prefix(1))
    let stored = sources(of: attention.inputs.dropFirst())
    let use = { (value: Value) in queries.contains(value) ? 0 : stored.contains(value) ? 1 : 2 }
    return replacingNodes { node in
      guard case .linear(let matrices, let part) = node.operation else { return [node] }
      var cuts = [0]
      for index in node.outputs.indices.dropFirst() where use(node.outputs[index]) != use(node.outputs[index - 1]) {
        cuts.append(index)
      }
      return zip(cuts, cuts.dropFirst() + [node.outputs.count]).map { start, end in
        Node(
          operation: .linear(matrices, part: part.lowerBound + start..<part.lowerBound + end), inputs: node.inputs,
          outputs: Array(node.outputs[start..<end]))
      }
    }
  }
}
