/// An architecture: what its files call things, and what its layers compute.
///
/// A new one is one file that reads from top to bottom like the published forward pass, and one line in `ModelRegistry`.
protocol ModelFamily: Sendable {
  /// Its name in GGUF files, adapters included.
  static var ggufName: String { get }
  static var names: TensorNames { get }
  /// Whether its GGUF files hold the rows of queries and keys in the order of interleaved rotary pairs.
  static var interleavesInGGUF: Bool { get }

  /// - Throws: `WeightsError` for a missing or mistyped key, `ModelError` for an impossible or unsupported value.
  init(_ metadata: ModelMetadata) throws

  var configuration: ModelConfiguration { get }
  var norm: Norm { get }
  /// What embeddings are multiplied by; nil leaves them as they are.
  var embeddingScale: Float? { get }
  /// Whether the output matrix is the embedding even if the file holds one.
  var tiesOutput: Bool { get }
  /// What logits of tokens are multiplied by; nil leaves them as they are.
  var outputScale: Float? { get }
  /// c where a token's scaled logit x becomes c tanh(x / c); nil leaves it as it is.
  var outputCap: Float? { get }

  /// What is made of the embeddings for all layers, beside the residual stream; the stream itself where there is nothing.
  func beside(_ graph: inout LayerGraph, _ embeddings: LayerGraph.Value) -> LayerGraph.Value

  /// What a layer makes of the residual stream.
  func layer(_ index: Int, _ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value

  /// Logits of the last layer's residual stream.
  func logits(_ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value
}

extension ModelFamily {
  static var interleavesInGGUF: Bool { false }

  var embeddingScale: Float? { nil }
  var outputScale: Float? { nil }
  var outputCap: Float? { nil }

  func beside(_ graph: inout LayerGraph, _ embeddings: LayerGraph.Value) -> LayerGraph.Value { embeddings }

  func logits(_ graph: inout LayerGraph, _ x: LayerGraph.Value) -> LayerGraph.Value {
    var logits = graph.linear(graph.norm(x, "output_norm"), "output", rows: configuration.vocabularySize)
    if let outputScale { logits = graph.scale(logits, by: outputScale) }
    return outputCap.map { graph.softCap(logits, $0) } ?? logits
  }
}
