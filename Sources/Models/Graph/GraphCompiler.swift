import Kernels

/// Turns the graphs of a model into instructions: loads what they name, orders them, gives values their buffers.
///
/// Three things are rearranged. A product that is only added to something is added in place. Attention begins as soon as
/// its queries exist, and ends just before something reads its result. What stands between these two, as the
/// feed-forward of a parallel block, runs while a memory elsewhere attends.
struct GraphCompiler {
  let source: TensorSource
  private(set) var buffers: BufferPlan
  private(set) var instructions: [Instruction] = []
  private(set) var projections: [Projection] = []
  /// What the instructions point to.
  private(set) var groups: [LinearGroup] = []
  private(set) var vectors: [Buffer<Float>] = []
  private var tied: PackedMatrix?

  init(source: TensorSource, hiddenSize: Int) {
    self.source = source
    buffers = BufferPlan(hiddenSize: hiddenSize)
  }

  /// Appends a layer's instructions, which read the residual stream and leave it changed.
  mutating func append(_ graph: LayerGraph, layer: Int) throws {
    let output = try compile(graph, layer: layer, input: BufferPlan.hidden)
    precondition(output == BufferPlan.hidden, "a layer ends in a sum with what it began with")
  }

  /// Appends the instructions that make logits of the residual stream of some rows.
  ///
  /// - Parameter tied: the embedding, where it takes the place of the output matrix
  mutating func appendLogits(_ graph: LayerGraph, tied: PackedMatrix?) throws {
    self.tied = tied
    buffers.logits = try compile(graph, layer: nil, input: BufferPlan.chosen)
  }

  private mutating func compile(_ graph: LayerGraph, layer: Int?, input: Int) throws -> Int {
    let plan = OrderedGraph(graph)
    var places = [Int](repeating: -1, count: graph.count)
    /// A buffer for a value: that of an input of its width which is read for the last time here, or another.
    func place(_ value: LayerGraph.Value, after inputs: [LayerGraph.Value], _ step: Int) -> Int {
      let entry = BufferPlan.Entry(
        width: value.width, feedsProducts: plan.feedsProducts(value), isForLogits: layer == nil)
      let old = inputs.first { plan.lastUse[$0.index] == step && buffers.entries[places[$0.index]] == entry }
      if let old, places[old.index] > BufferPlan.chosen {
        defer { places[old.index] = -1 }
        return places[old.index]
      }
      return buffers.take(entry)
    }
    func overwrite(_ value: LayerGraph.Value, _ step: Int) -> Int {
      precondition(plan.lastUse[value.index] == step, "a value is overwritten that is still read")
      defer { places[value.index] = -1 }
      return places[value.index]
    }
    for (step, node) in plan.nodes.enumerated() {
      let inputs = node.inputs.map { places[$0.index] }
      switch node.operation {
      case .input: places[node.outputs[0].index] = input
      case .norm(let name, let size):
        let normalization = try load(graph.norm, TensorName(name, layer: layer), size: size, of: node.inputs[0].width)
        let output = place(node.outputs[0], after: node.inputs, step)
        instructions.append(.normalize(normalization, from: inputs[0], to: output))
        places[node.outputs[0].index] = output
      case .linear(let matrices):
        if plan.isAddedInPlace(node) { continue }
        let outputs = node.outputs.map { place($0, after: [], step) }
        for (value, output) in zip(node.outputs, outputs) { places[value.index] = output }
        try project(matrices, node.inputs[0], from: inputs[0], layer: layer, outputs: outputs)
      case .activation(let activation):
        let output = place(node.outputs[0], after: node.inputs, step)
        instructions.append(
          .activate(
            activation, gate: inputs[0], up: inputs.count > 1 ? inputs[1] : nil, to: output,
            width: node.outputs[0].width))
        places[node.outputs[0].index] = output
      case .sum:
        let target = overwrite(node.inputs[0], step)
        places[node.outputs[0].index] = target
        if let product = plan.productAddedInPlace(by: node), case .linear(let matrices) = product.operation {
          let factor = product.inputs[0]
          try project(matrices, factor, from: places[factor.index], layer: layer, outputs: [target], accumulates: true)
        } else {
          instructions.append(.add(inputs[1], to: target, width: node.outputs[0].width))
        }
      case .scale(let factor):
        let target = overwrite(node.inputs[0], step)
        places[node.outputs[0].index] = target
        instructions.append(.scale(target, by: factor, width: node.outputs[0].width))
      case .softCap(let cap):
        let target = overwrite(node.inputs[0], step)
        places[node.outputs[0].index] = target
        instructions.append(.softCap(target, cap, width: node.outputs[0].width))
      case .attention:
        let output = place(node.outputs[0], after: [], step)
        instructions.append(.finishAttention(keys: inputs[1], values: inputs[2], to: output))
        places[node.outputs[0].index] = output
      }
      if let queries = node.outputs.first(where: plan.areQueries) {
        instructions.append(.beginAttention(queries: places[queries.index]))
      }
      for (index, last) in plan.lastUse.enumerated() where last == step && places[index] > BufferPlan.chosen {
        buffers.giveBack(places[index])
        places[index] = -1
      }
    }
    defer { if layer != nil { assert(places.allSatisfy { $0 <= 0 }, "a buffer is never given back") } }
    return places[graph.output.index]
  }

  private mutating func project(
    _ matrices: [LayerGraph.Matrix], _ input: LayerGraph.Value, from: Int, layer: Int?, outputs: [Int],
    accumulates: Bool = false
  ) throws {
    let isTied = tied != nil && matrices.map(\.name) == [TensorName.output.stem]
    let group = LinearGroup(
      try source.linears(matrices, columns: input.width, layer: layer, inPlaceOfFile: isTied ? tied : nil))
    buffers.lowRankWidth = max(buffers.lowRankWidth, group.lowRank?.rank ?? 0)
    instructions.append(.project(projections.count, from: from))
    projections.append(Projection(group, outputs: outputs, accumulates: accumulates))
    groups.append(group)
  }

  private mutating func load(_ norm: Norm, _ name: TensorName, size: Int, of width: Int) throws -> Normalization {
    let weight = try source.vector(name, count: size)
    if norm.weightOffset != 0 { for index in 0..<size { weight[index] += norm.weightOffset } }
    let bias = norm.kind == .layer ? try source.bias(name, count: size) : nil
    vectors += [weight] + (bias.map { [$0] } ?? [])
    return Normalization(
      kind: norm.kind, epsilon: norm.epsilon, weight: UnsafePointer(weight.pointer),
      bias: bias.map { UnsafePointer($0.pointer) }, size: size, count: width / size)
  }
}
