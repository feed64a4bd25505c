package import KVCaches
package import Kernels
import Weights

/// The Llama architecture: Llama 1 to 3, TinyLlama, SmolLM, and Mistral without a window.
///
/// Per layer: RMSNorm, grouped-query attention with rotary positions, RMSNorm, a SiLU-gated feed-forward; the output
/// matrix may be the embedding (tied).
package final class Llama: DecoderModel {
  struct Layer: Sendable {
    let attentionNorm: Buffer<Float>
    let queryKeyValue: LinearGroup
    let output: LinearGroup
    let feedForwardNorm: Buffer<Float>
    let gateUp: LinearGroup
    let down: LinearGroup
  }

  package let configuration: ModelConfiguration
  private let embedding: PackedMatrix
  private let layers: [Layer]
  private let outputNorm: Buffer<Float>
  private let head: LinearGroup

  init(_ source: TensorSource, _ configuration: ModelConfiguration) throws {
    self.configuration = configuration
    let (hidden, feedForward) = (configuration.hiddenSize, configuration.feedForwardSize)
    let shape = configuration.attention
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDim, shape.keyValueHeads * shape.headDim)
    embedding = try source.matrix(.embedding, rows: configuration.vocabularySize, columns: hidden)
    layers = try (0..<shape.layers).map { layer in
      Layer(
        attentionNorm: try source.vector(.attentionNorm(layer), count: hidden),
        queryKeyValue: LinearGroup([
          try source.linear(.query(layer), rows: queryWidth, columns: hidden),
          try source.linear(.key(layer), rows: keyWidth, columns: hidden),
          try source.linear(.value(layer), rows: keyWidth, columns: hidden),
        ]),
        output: LinearGroup([try source.linear(.attentionOutput(layer), rows: hidden, columns: queryWidth)]),
        feedForwardNorm: try source.vector(.feedForwardNorm(layer), count: hidden),
        gateUp: LinearGroup([
          try source.linear(.gate(layer), rows: feedForward, columns: hidden),
          try source.linear(.up(layer), rows: feedForward, columns: hidden),
        ]),
        down: LinearGroup([try source.linear(.down(layer), rows: hidden, columns: feedForward)]))
    }
    outputNorm = try source.vector(.outputNorm, count: hidden)
    head =
      source.has(.output)
      ? LinearGroup([try source.linear(.output, rows: configuration.vocabularySize, columns: hidden)])
      : LinearGroup([
        Linear(
          matrix: embedding, bias: nil,
          factors: try source.factors(.output, rows: configuration.vocabularySize, columns: hidden))
      ])
  }

  package var weightBytes: Int {
    layers.reduce(head.bytes + (head.linears[0].matrix === embedding ? 0 : embedding.bytes)) { $0 + $1.bytes }
  }

  package var bytesPerToken: Int { layers.reduce(head.bytes) { $0 + $1.bytes } }

  package var layerWeights: [ElementType: Int] {
    layers.flatMap(\.groups).flatMap(\.matrices).reduce(into: [:]) { weights, matrix in
      weights[matrix.type, default: 0] += matrix.rows * matrix.columns
    }
  }

  package func embed(_ tokens: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam) {
    let pass = Pass(workspace: workspace, team: team, rows: tokens.count)
    pass.embed(tokens, from: embedding, width: configuration.hiddenSize)
  }

  package func forward<Attention: AttentionService>(
    layer index: Int, rows: Int, attention: Attention, workspace: ForwardWorkspace, team: WorkerTeam
  ) {
    let (pass, layer) = (Pass(workspace: workspace, team: team, rows: rows), layers[index])
    pass.normalize(by: layer.attentionNorm, epsilon: configuration.normEpsilon)
    pass.project(
      layer.queryKeyValue, workspace.normed, into: workspace.queries, workspace.keys, workspace.values)
    attention.begin(layer: index, queries: workspace.queries.pointer)
    attention.finish(
      layer: index, keys: workspace.keys.pointer, values: workspace.values.pointer, sinkLogits: nil,
      output: workspace.attended.values.pointer)
    pass.quantize(workspace.attended)
    pass.addProjection(layer.output, workspace.attended)
    pass.normalize(by: layer.feedForwardNorm, epsilon: configuration.normEpsilon)
    pass.project(layer.gateUp, workspace.normed, into: workspace.gate, workspace.up)
    pass.activate()
    pass.addProjection(layer.down, workspace.activated)
  }

  package func logits(of rows: Range<Int>, workspace: ForwardWorkspace, team: WorkerTeam) {
    precondition(rows.count <= workspace.logitRows && rows.upperBound <= workspace.rows)
    guard !rows.isEmpty else { return }
    let pass = Pass(workspace: workspace, team: team, rows: rows.count)
    pass.normalizeLast(rows, by: outputNorm, epsilon: configuration.normEpsilon)
    pass.project(head, workspace.last, into: workspace.logits)
  }
}

extension Llama.Layer {
  var groups: [LinearGroup] { [queryKeyValue, output, gateUp, down] }
  var bytes: Int { groups.reduce(0) { $0 + $1.bytes } }
}
