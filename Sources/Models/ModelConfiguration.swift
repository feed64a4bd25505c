package import KVCaches

/// The numbers of a decoder that everything around it needs to know.
package struct ModelConfiguration: Sendable {
  /// The architecture's name as the file gives it.
  package var architecture: String
  package var vocabularySize: Int
  package var hiddenSize: Int
  package var feedForwardSize: Int
  /// What attention is in each layer; there is at least one.
  package var layers: [AttentionLayer]
  /// The number of tokens the model was trained to see at once.
  package var trainedLength: Int
  /// Experts of a layer, and those of them that a token meets; nil where there are none.
  package var experts: ExpertNumbers?
  /// What the model was trained to remember with, where that is not its every token.
  package var memory = TrainedMemory()

  package struct ExpertNumbers: Sendable, Hashable {
    package var count: Int
    package var used: Int
  }

  /// Layers, heads and head size; those of the first layer that attends where layers differ.
  package var attention: KVCache.Shape { KVCache.Shape(layers) }

  /// Those of the layers whose memory is the plan's, if there are any.
  package var positions: PositionEncoding {
    (layers.first { $0.window == nil && $0.recurrence == nil } ?? layers[0]).positions
  }
}
