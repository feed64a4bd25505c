/// A model as serial programs between which its attention runs elsewhere (Lamina, arXiv 2405.01814v2, section 4.2).
///
/// With n layers that attend there are n + 1 slices. Each but the first begins with the result of an attention, each but
/// the last hands over queries as soon as they exist, then keys and values, and does meanwhile what the cut puts before the
/// result. Recurrent states stay with the model: a slice goes through the layers that have one.
package struct ModelSlices: Sendable {
  package struct Slice: Sendable, Equatable {
    /// Operations until the queries are there; of the last slice all of them.
    package var untilQueries: [String] = []
    /// Those from then until keys and values are there.
    package var untilStored: [String] = []
    /// Those from then until the result is needed.
    package var meanwhile: [String] = []
    /// Numbers a token has in queries, which are as many as in the result, and in keys and values together.
    package var queryWidth = 0
    package var storedWidth = 0
    /// What is kept until the result is there.
    package var context: [String] = []
    /// Its numbers a token, with what stands beside the residual stream for later layers.
    package var contextWidth = 0
  }

  package private(set) var slices: [Slice] = []
  /// The layer whose attention ends a slice, `[slice]`; there is none after the last.
  package private(set) var layers: [Int] = []

  init(_ family: any ModelFamily) {
    let graphs = family.configuration.layers.indices.map { family.graph(ofLayer: $0).multiplyingQueriesApart() }
    var besideWidths = graphs.map { graph in
      graph.nodes.reduce(0) { if case .beside = $1.operation { $0 + $1.outputs[0].width } else { $0 } }
    }
    var slice = Slice()
    slice.untilQueries = ["embed"] + OrderedGraph(family.graphBeside).steps.flatMap { $0.node.label.map { [$0] } ?? [] }
    for (layer, graph) in graphs.enumerated() {
      let ordered = OrderedGraph(graph)
      besideWidths[layer] = 0
      var next = Slice()
      for step in ordered.steps where !ordered.isAddedInPlace(step.node) {
        guard let label = ordered.label(of: step.node) else { continue }
        switch step.phase {
        case .queries: slice.untilQueries.append(label)
        case .stored: slice.untilStored.append(label)
        case .meanwhile: slice.meanwhile.append(label)
        case .result: next.untilQueries.append(label)
        }
      }
      guard let cut = ordered.cut else { continue }
      slice.queryWidth = ordered.handedOver[0].width
      slice.storedWidth = ordered.handedOver.dropFirst().reduce(0) { $0 + $1.width }
      slice.context = cut.context.map { ordered.name(of: $0) }
      slice.contextWidth = cut.width + besideWidths.reduce(0, +)
      slices.append(slice)
      layers.append(layer)
      slice = next
    }
    slice.untilQueries += OrderedGraph(family.graphOfLogits).steps.flatMap { $0.node.label.map { [$0] } ?? [] }
    slices.append(slice)
  }
}

extension OrderedGraph {
  /// An operation in a word or two; nil for what is there without one.
  fileprivate func label(of node: LayerGraph.Node) -> String? {
    if let product = productAddedInPlace(by: node) { return product.label.map { "+" + $0 } }
    return node.label
  }

  /// What a value is, by what made it.
  fileprivate func name(of value: LayerGraph.Value) -> String {
    let maker = steps.first { $0.node.outputs.contains(value) }?.node
    return maker.flatMap { label(of: $0) } ?? "residual stream"
  }
}

extension LayerGraph.Node {
  /// The operation by the names of its tensors, or in a word.
  fileprivate var label: String? {
    switch operation {
    case .input, .attention: nil
    case .norm(let name, _, _): name ?? "norm"
    case .linear(let matrices, let part): matrices[part].map(\.name).joined(separator: "|")
    case .activation(let activation): "\(activation)"
    case .sum: "+"
    case .product: "×"
    case .scale, .scaleEach: "scale"
    case .scaleStored(let name): name
    case .tableRows(let name, _): name
    case .beside: "beside"
    case .gateRows: "gate"
    case .softCap: "cap"
    case .clamp: "clamp"
    case .convolution(let name, _, _): name
    case .deltaRule: "delta rule"
    case .experts: "experts"
    }
  }
}
