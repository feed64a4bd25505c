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

  /// Appends a graph's instructions; returns the buffer of its result.
  private mutating func compile(_ unordered: LayerGraph, layer: Int?, input: Int) throws -> Int {
    let graph = OrderedGraph(unordered)
    var places = BufferAssignment(graph, isForLogits: layer == nil)
    for (step, node) in graph.nodes.enumerated() {
      let (inputs, output) = (node.inputs, node.outputs[0])
      switch node.operation {
      case .input: places[output] = input
      case .norm(let name, let size):
        let norm = try load(unordered.norm, TensorName(name, layer: layer), size: size, of: output.width)
        let from = places[inputs[0]]
        let to = places.place(output, replacing: inputs, at: step, in: &buffers)
        instructions.append(.normalize(norm, from: from, to: to))
      case .linear(let matrices):
        if graph.isAddedInPlace(node) { continue }
        let outputs = node.outputs.map { places.place($0, at: step, in: &buffers) }
        try project(matrices, inputs[0], from: places[inputs[0]], layer: layer, outputs: outputs)
      case .activation(let activation):
        let (gate, up) = (places[inputs[0]], inputs.dropFirst().first.map { places[$0] })
        let to = places.place(output, replacing: inputs, at: step, in: &buffers)
        instructions.append(.activate(activation, gate: gate, up: up, to: to, width: output.width))
      case .sum:
        let to = places.overwrite(inputs[0], by: output, at: step)
        if let product = graph.productAddedInPlace(by: node), case .linear(let matrices) = product.operation {
          let factor = product.inputs[0]
          try project(matrices, factor, from: places[factor], layer: layer, outputs: [to], accumulates: true)
        } else {
          instructions.append(.add(places[inputs[1]], to: to, width: output.width))
        }
      case .scale(let factor):
        let place = places.overwrite(inputs[0], by: output, at: step)
        instructions.append(.scale(place, by: factor, width: output.width))
      case .softCap(let cap):
        let place = places.overwrite(inputs[0], by: output, at: step)
        instructions.append(.softCap(place, cap, width: output.width))
      case .attention:
        let to = places.place(output, at: step, in: &buffers)
        instructions.append(.finishAttention(keys: places[inputs[1]], values: places[inputs[2]], to: to))
      }
      if let queries = node.outputs.first(where: graph.areQueries) {
        instructions.append(.beginAttention(queries: places[queries]))
      }
      places.endStep(step, in: &buffers)
    }
    return places[unordered.output]
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
