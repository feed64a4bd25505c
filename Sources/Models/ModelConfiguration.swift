package import KVCaches

/// The numbers of a decoder that everything around it needs to know.
package struct ModelConfiguration: Sendable {
  /// The architecture's name as the file gives it.
  package var architecture: String
  package var vocabularySize: Int
  package var hiddenSize: Int
  package var feedForwardSize: Int
  /// Layers, heads and head size.
  package var attention: KVCache.Shape
  package var positions: PositionEncoding
  /// The number of tokens the model was trained to see at once.
  package var trainedLength: Int
  package var normEpsilon: Float
  /// The most low-rank products of a token that matrices with one input need at once; 0 without adapters.
  package var lowRankWidth = 0
}
