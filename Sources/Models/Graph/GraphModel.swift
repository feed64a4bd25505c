import KVCaches
import Kernels
import Weights

/// A model whose layers are graphs, compiled when it is loaded.
final class GraphModel: DecoderModel {
  let configuration: ModelConfiguration
  let buffers: BufferPlan
  private let embedding: PackedMatrix
  private let embeddingScale: Float?
  /// Those beside the embedding, those of all layers, then those of the logits.
  private let instructions: Buffer<Instruction>
  /// Where a layer's instructions begin, and, after the last one, those of the logits and their end.
  private let starts: [Int]
  /// Where each layer needs the result of its attention; its end where it has none.
  private let cuts: [Int]
  private let projections: Buffer<Projection>
  /// The matrices of the layers.
  private let groups: [LinearGroup]
  private let head: LinearGroup
  /// What instructions point to, beside the matrices.
  private let vectors: [Buffer<Float>]
  private let experts: [ExpertMatrices]
  private let tables: [RowTable]

  init(_ family: any ModelFamily, _ source: TensorSource, queriesFirst: Bool) throws {
    configuration = try source.configuration.withHeadNumbers(of: source)
    embeddingScale = family.embeddingScale
    let hidden = configuration.hiddenSize
    embedding = try source.matrix(.embedding, rows: configuration.vocabularySize, columns: hidden)
    var compiler = GraphCompiler(source: source, hiddenSize: hidden)
    try compiler.appendEmbedding(family.graphBeside)
    var starts = [compiler.instructions.count]
    for layer in 0..<configuration.layers.count {
      let graph = family.graph(ofLayer: layer)
      try compiler.append(queriesFirst ? graph.multiplyingQueriesApart() : graph, layer: layer)
      starts.append(compiler.instructions.count)
    }
    let tied = family.tiesOutput || !source.has(.output) ? embedding : nil
    try compiler.appendLogits(family.graphOfLogits, tied: tied)
    starts.append(compiler.instructions.count)
    self.starts = starts
    cuts = (0..<configuration.layers.count).map { layer in
      compiler.instructions[starts[layer]..<starts[layer + 1]].firstIndex(where: \.needsAttention) ?? starts[layer + 1]
    }
    instructions = Buffer(compiler.instructions)
    projections = Buffer(compiler.projections)
    guard let head = compiler.groups.last else { preconditionFailure("logits need a matrix") }
    (groups, self.head) = (compiler.groups.dropLast(), head)
    vectors = compiler.vectors
    experts = compiler.experts
    tables = compiler.tables
    buffers = compiler.buffers
  }

  var weightBytes: Int {
    let unused = experts.reduce(0) { $0 + $1.bytes - $1.bytesPerToken }
    return bytesPerToken + unused + (head.linears[0].matrix === embedding ? 0 : embedding.bytes)
  }

  var bytesPerToken: Int {
    experts.reduce(groups.reduce(head.bytes) { $0 + $1.bytes }) { $0 + $1.bytesPerToken }
  }

  var layerWeights: [ElementType: Int] {
    let dense: [ElementType: Int] = groups.flatMap(\.matrices).reduce(into: [:]) {
      $0[$1.type, default: 0] += $1.rows * $1.columns
    }
    return experts.reduce(dense) { $0.merging($1.weightsPerToken, uniquingKeysWith: +) }
  }

  func embed(_ tokens: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam) {
    let executor = GraphExecutor(workspace: workspace, team: team, rows: tokens.count)
    executor.embed(tokens, from: embedding, scale: embeddingScale)
    for instruction in UnsafeBufferPointer(start: instructions.pointer, count: starts[0]) {
      guard case .tableRows(let index, let place, let width) = instruction else {
        executor.run(instruction, projections.pointer)
        continue
      }
      let table = tables[index]
      for (row, token) in tokens.enumerated() {
        table.copyRow(min(Int(token), table.rows - 1), to: executor.row0(place) + row * width)
      }
    }
  }

  func forward<Attention: LayerAttention>(
    _ part: LayerPart, ofLayer layer: Int, rows: Int, attention: Attention, workspace: ForwardWorkspace,
    team: WorkerTeam
  ) {
    precondition(layer >= 0 && layer < configuration.layers.count, "no such layer")
    let range = part == .untilResult ? starts[layer]..<cuts[layer] : cuts[layer]..<starts[layer + 1]
    GraphExecutor(workspace: workspace, team: team, rows: rows)
      .run(self[range], projections.pointer, layer: layer, attention: attention)
  }

  func logits(of rows: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam) {
    guard !rows.isEmpty else { return }
    let executor = choose(rows, workspace: workspace, team: team)
    for instruction in part(configuration.layers.count) { executor.run(instruction, projections.pointer) }
  }

  func lastHidden(
    of rows: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam
  ) -> UnsafePointer<Float> {
    let executor = choose(rows, workspace: workspace, team: team)
    for instruction in part(configuration.layers.count) {
      if case .project(_, let input) = instruction { return UnsafePointer(executor.row0(input)) }
      executor.run(instruction, projections.pointer)
    }
    preconditionFailure("logits need a matrix")
  }

  /// Puts rows of the step where logits are made from.
  private func choose(
    _ rows: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam
  ) -> GraphExecutor {
    precondition(rows.count <= workspace.logitRows, "more rows than get logits at once")
    let width = configuration.hiddenSize
    let executor = GraphExecutor(workspace: workspace, team: team, rows: rows.count)
    let chosen = executor.row0(BufferPlan.chosen)
    for (index, row) in rows.enumerated() {
      precondition(row >= 0 && row < workspace.rows, "no such row")
      (chosen + index * width).update(from: workspace.hidden.pointer + Int(row) * width, count: width)
    }
    return executor
  }

  private func part(_ index: Int) -> UnsafeBufferPointer<Instruction> { self[starts[index]..<starts[index + 1]] }

  private subscript(range: Range<Int>) -> UnsafeBufferPointer<Instruction> {
    UnsafeBufferPointer(start: instructions.pointer + range.lowerBound, count: range.count)
  }
}

extension ModelFamily {
  /// What is made of embeddings beside the residual stream.
  var graphBeside: LayerGraph { LayerGraph(width: configuration.hiddenSize, norm: norm) { beside(&$0, $1) } }

  func graph(ofLayer index: Int) -> LayerGraph {
    LayerGraph(width: configuration.hiddenSize, norm: norm) { layer(index, &$0, $1) }
  }

  var graphOfLogits: LayerGraph { LayerGraph(width: configuration.hiddenSize, norm: norm) { logits(&$0, $1) } }
}

extension ModelConfiguration {
  /// With what the file, or an adapter that brings gates, declares of the memory that the model was trained with.
  func withMemory(of file: WeightFile, _ adapters: AdapterSet) throws -> ModelConfiguration {
    var configuration = self
    configuration.memory = try TrainedMemory(file)
    if let segments = try adapters.segments() { configuration.memory.segments = segments }
    return configuration
  }

  /// With what each query head has learned for its attention alone.
  func withHeadNumbers(of source: TensorSource) throws -> ModelConfiguration {
    var configuration = self
    for layer in layers.indices {
      guard layers[layer].recurrence == nil else { continue }
      configuration.layers[layer].gates = try source.headNumbers("infini_gate", layer: layer)
      configuration.layers[layer].sinkLogits = try source.headNumbers("sinks", layer: layer)
    }
    guard memory.segments == nil || configuration.layers.contains(where: { $0.gates != nil }) else {
      throw ModelError.unsupported(
        "declares a compressive memory, but has no gates to read it by", in: source.file.path)
    }
    return configuration
  }
}

extension Buffer {
  fileprivate convenience init(_ elements: [Element]) {
    self.init(count: elements.count)
    for (index, element) in elements.enumerated() { self[index] = element }
  }
}
