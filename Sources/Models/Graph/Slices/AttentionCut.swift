/// Where a layer is cut when its attention is computed elsewhere: what runs before its result is there, and what has to be
/// kept until then.
///
/// A minimum cut between all that queries, keys and values are made of and all that is made of the result, with bytes as
/// capacities (Lamina, arXiv 2405.01814v2, section 4.2). Nothing may run before the cut that reads what is made behind it.
/// Of equal cuts that with most operations before it counts, so that these run while memory elsewhere attends. The paper
/// counts bytes for each edge; here a value that several operations behind the cut read is kept once.
struct AttentionCut {
  /// Whether a unit runs before the result is there, `[unit]`.
  let isEarly: [Bool]
  /// What is made before the cut and read behind it, beside queries, keys and values.
  let context: [LayerGraph.Value]
  /// Numbers of `context`, and those of what stands beside the residual stream that are read behind the cut.
  let width: Int

  /// - Precondition: the layer attends.
  init(_ layer: LayerUnits, output: LayerGraph.Value) {
    guard let attention = layer.attention else { preconditionFailure("a layer without attention is not cut") }
    let units = layer.units
    let handedOver = units[attention].inputs
    let before = layer.ancestors(of: handedOver.compactMap { layer.maker(of: $0) })
    let after = layer.descendants(of: attention)
    // A node a unit, then two a value (made, kept), the source and the sink.
    let values = units.flatMap(\.outputs)
    let nodes = Dictionary(uniqueKeysWithValues: values.enumerated().map { ($1, units.count + $0) })
    let (source, sink) = (units.count + values.count, units.count + values.count + 1)
    var network = FlowNetwork(nodes: sink + 1)
    for (index, unit) in units.enumerated() where index != attention {
      if before[index] { network.connect(source, index) }
      if after[index] { network.connect(index, sink) }
      for earlier in unit.predecessors where earlier != attention { network.connect(index, earlier) }
      for value in unit.outputs {
        if let node = nodes[value] { network.connect(index, node, capacity: value.width) }
      }
      for value in unit.inputs {
        if let node = nodes[value], layer.maker(of: value) != attention { network.connect(node, index) }
      }
      // What stands beside the residual stream is kept until it is read.
      if case .beside = unit.nodes[0].operation { network.connect(source, index, capacity: unit.outputs[0].width) }
    }
    if let node = nodes[output], layer.maker(of: output) != attention { network.connect(node, sink) }
    let cut = network.minimumCut(from: source, to: sink)
    let isEarly = units.indices.map { $0 != attention && cut.isNear[$0] }
    let isReadLate = { (value: LayerGraph.Value) in
      value == output
        || units.indices.contains { !isEarly[$0] && $0 != attention && units[$0].inputs.contains(value) }
    }
    self.isEarly = isEarly
    context = units.indices.filter { isEarly[$0] }.flatMap { units[$0].outputs.filter(isReadLate) }
    width = cut.capacity
  }
}
