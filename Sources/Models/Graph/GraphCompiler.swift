import CLibrary
import KVCaches
import Kernels

/// Turns the graphs of a model into instructions: loads what they name, orders them, gives values their buffers.
///
/// The order is that of `OrderedGraph`: attention begins as soon as its queries exist, then gets keys and values, and ends
/// behind what the cut puts before its result, as the feed-forward of a parallel block. A product that is only added to
/// something is added in place.
struct GraphCompiler {
  let source: TensorSource
  private(set) var buffers: BufferPlan
  private(set) var instructions: [Instruction] = []
  private(set) var projections: [Projection] = []
  /// What the instructions point to.
  private(set) var groups: [LinearGroup] = []
  private(set) var vectors: [Buffer<Float>] = []
  private(set) var experts: [ExpertMatrices] = []
  private(set) var tables: [RowTable] = []
  private var tied: PackedMatrix?

  init(source: TensorSource, hiddenSize: Int) {
    self.source = source
    buffers = BufferPlan(hiddenSize: hiddenSize)
  }

  /// Appends the instructions that make, of the embeddings, what layers want beside the residual stream; first of all.
  mutating func appendEmbedding(_ graph: LayerGraph) throws {
    let place = try compile(graph, layer: nil, input: BufferPlan.hidden, isForLogits: false)
    if place != BufferPlan.hidden { buffers.beside = place }
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
    buffers.logits = try compile(graph, layer: nil, input: BufferPlan.chosen, isForLogits: true)
  }

  /// Appends a graph's instructions; returns the buffer of its result.
  private mutating func compile(
    _ unordered: LayerGraph, layer: Int?, input: Int, isForLogits: Bool = false
  ) throws -> Int {
    let graph = OrderedGraph(unordered)
    var places = BufferAssignment(graph, isForLogits: isForLogits)
    for (step, node) in graph.steps.map(\.node).enumerated() {
      let (inputs, output) = (node.inputs, node.outputs[0])
      switch node.operation {
      case .input: places[output] = input
      case .norm(let name, let size, let isPlain):
        var kind = unordered.norm
        if isPlain { kind.weightOffset = 0 }
        let norm = try load(
          kind, name.map { TensorName($0, layer: layer) }, size: size, of: output.width)
        let from = places[inputs[0]]
        let to = places.place(output, replacing: inputs, at: step, in: &buffers)
        instructions.append(.normalize(norm, from: from, to: to))
      case .linear(let matrices, let part):
        if graph.isAddedInPlace(node) { continue }
        let outputs = node.outputs.map { places.place($0, at: step, in: &buffers) }
        try project(matrices, part, inputs[0], from: places[inputs[0]], layer: layer, outputs: outputs)
      case .activation(let activation):
        let (gate, up) = (places[inputs[0]], inputs.dropFirst().first.map { places[$0] })
        let to = places.place(output, replacing: inputs, at: step, in: &buffers)
        instructions.append(.activate(activation, gate: gate, up: up, to: to, width: output.width))
      case .sum:
        let to = places.overwrite(inputs[0], by: output, at: step)
        if let product = graph.productAddedInPlace(by: node), case .linear(let matrices, let part) = product.operation {
          let factor = product.inputs[0]
          try project(
            matrices, part, factor, from: places[factor], layer: layer, outputs: [to], accumulates: true)
        } else {
          instructions.append(.add(places[inputs[1]], to: to, width: output.width))
        }
      case .scale(let factor):
        let place = places.overwrite(inputs[0], by: output, at: step)
        instructions.append(.scale(place, by: factor, width: output.width))
      case .product:
        let factors = inputs.map { places[$0] }
        let to = places.place(output, replacing: inputs, at: step, in: &buffers)
        instructions.append(.multiply(factors[0], by: factors[1], to: to, width: output.width))
      case .scaleStored(let name):
        let place = places.overwrite(inputs[0], by: output, at: step)
        let stored = TensorName(name, layer: layer)
        guard source.has(stored) else { break }
        instructions.append(.scale(place, by: try source.values(stored, shape: [1])[0], width: output.width))
      case .tableRows(let name, let rows):
        tables.append(try source.table(TensorName(name, layer: layer), rows: rows, columns: output.width))
        let to = places.place(output, at: step, in: &buffers)
        instructions.append(.tableRows(tables.count - 1, to: to, width: output.width))
      case .beside(let offset):
        guard let beside = buffers.beside else { preconditionFailure("nothing stands beside the residual stream") }
        let to = places.place(output, at: step, in: &buffers)
        instructions.append(
          .slice(beside, offset: offset, stride: buffers.entries[beside].width, to: to, width: output.width))
      case .scaleEach(let factors):
        let place = places.overwrite(inputs[0], by: output, at: step)
        let vector = keep(factors)
        instructions.append(.scaleEach(place, by: vector, count: factors.count, width: output.width))
      case .gateRows:
        let gate = places[inputs[1]]
        let place = places.overwrite(inputs[0], by: output, at: step)
        instructions.append(.gateRows(place, by: gate, width: output.width))
      case .clamp(let limit):
        let place = places.overwrite(inputs[0], by: output, at: step)
        instructions.append(.clamp(place, limit, width: output.width))
      case .softCap(let cap):
        let place = places.overwrite(inputs[0], by: output, at: step)
        instructions.append(.softCap(place, cap, width: output.width))
      case .attention:
        let to = places.place(output, at: step, in: &buffers)
        let stored = inputs.dropFirst().map { places[$0] }
        instructions.append(.finishAttention(keys: stored.first, values: stored.last, to: to))
      case .convolution(let name, let span, let hasSilu):
        let convolution = try load(
          TensorName(name, layer: layer), channels: output.width, span: span, hasSilu: hasSilu)
        let to = places.place(output, at: step, in: &buffers)
        instructions.append(.convolve(convolution, from: places[inputs[0]], to: to))
      case .deltaRule(let rule, let rates, let offsets):
        let to = places.place(output, at: step, in: &buffers)
        instructions.append(
          .deltaRule(
            mixed: places[inputs[0]], decays: places[inputs[1]], betas: places[inputs[2]],
            rates: try loadRates(TensorName(rates, layer: layer), count: rule.valueHeads),
            offsets: try keep(source.vector(TensorName(offsets, layer: layer), "bias", count: rule.valueHeads)), to: to)
        )
      case .experts(let description):
        let matrices = try ExpertMatrices(description, columns: inputs[0].width, layer: layer ?? 0, source)
        experts.append(matrices)
        buffers.reserve(description, columns: inputs[0].width)
        let to = places.place(output, at: step, in: &buffers)
        instructions.append(
          .mixExperts(UnsafePointer(matrices.layer.pointer), scores: places[inputs[1]], from: places[inputs[0]], to: to)
        )
      }
      if step == graph.queriesStep {
        instructions.append(.beginAttention(queries: places[graph.handedOver[0]]))
      }
      if step == graph.storedStep {
        instructions.append(.offerAttention(keys: places[graph.handedOver[1]], values: places[graph.handedOver[2]]))
      }
      places.endStep(step, in: &buffers)
    }
    return places[unordered.output]
  }

  private mutating func project(
    _ matrices: [LayerGraph.Matrix], _ part: Range<Int>, _ input: LayerGraph.Value, from: Int, layer: Int?,
    outputs: [Int], accumulates: Bool = false
  ) throws {
    let own = buffers.entries[from]
    if !own.feedsProducts {
      // The residual stream, and what grew out of it in place.
      let copy = buffers.take(
        BufferPlan.Entry(width: own.width, feedsProducts: true, isForLogits: own.isForLogits))
      instructions.append(.copy(from, to: copy, width: own.width))
      try project(matrices, part, input, from: copy, layer: layer, outputs: outputs, accumulates: accumulates)
      return buffers.giveBack(copy)
    }
    let isTied = tied != nil && matrices.map(\.name) == [TensorName.output.stem]
    let group = LinearGroup(
      try source.linears(matrices, part, columns: input.width, layer: layer, inPlaceOfFile: isTied ? tied : nil))
    buffers.lowRankWidth = max(buffers.lowRankWidth, group.lowRank?.rank ?? 0)
    instructions.append(.project(projections.count, from: from))
    projections.append(Projection(group, outputs: outputs, accumulates: accumulates))
    groups.append(group)
  }

  private mutating func keep(_ vector: Buffer<Float>) -> UnsafePointer<Float> {
    vectors.append(vector)
    return UnsafePointer(vector.pointer)
  }

  private mutating func keep(_ values: [Float]) -> UnsafePointer<Float> {
    let vector = Buffer<Float>(count: values.count)
    for (index, value) in values.enumerated() { vector[index] = value }
    return keep(vector)
  }

  /// A convolution's weights, which files hold channel by channel.
  private mutating func load(
    _ name: TensorName, channels: Int, span: Int, hasSilu: Bool
  ) throws -> Convolution {
    let stored = try source.values(name, shape: [channels, span])
    let weights = Buffer<Float>(count: channels * span)
    for channel in 0..<channels {
      for token in 0..<span { weights[token * channels + channel] = stored[channel * span + token] }
    }
    let bias = try source.bias(name, count: channels).map { keep($0) }
    return Convolution(channels: channels, span: span, hasSilu: hasSilu, weights: keep(weights), bias: bias)
  }

  /// Rates of decay, which GGUF files hold as they are used, and others as logarithms of what they are below zero.
  private mutating func loadRates(_ name: TensorName, count: Int) throws -> UnsafePointer<Float> {
    let rates = try source.vector(name, count: count)
    if !source.isGGUF { for index in 0..<count { rates[index] = -exp(rates[index]) } }
    return keep(rates)
  }

  private mutating func load(_ norm: Norm, _ name: TensorName?, size: Int, of width: Int) throws -> Normalization {
    guard let name else {
      return Normalization(
        kind: .rootMeanSquare, epsilon: norm.epsilon, weight: nil, bias: nil, size: size, count: width / size)
    }
    let weight = try source.vector(name, count: size)
    if norm.weightOffset != 0 { for index in 0..<size { weight[index] += norm.weightOffset } }
    let bias = norm.kind == .layer ? try source.bias(name, count: size) : nil
    vectors += [weight] + (bias.map { [$0] } ?? [])
    return Normalization(
      kind: norm.kind, epsilon: norm.epsilon, weight: UnsafePointer(weight.pointer),
      bias: bias.map { UnsafePointer($0.pointer) }, size: size, count: width / size)
  }
}
