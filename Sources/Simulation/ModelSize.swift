/// What a decoder takes of a machine: its weights, and what a token sends and keeps.
package struct ModelSize: Sendable, Equatable {
  package var name: String
  /// Weights that every token meets.
  package var parameters: Double
  package var layers: Int
  package var hidden: Int
  /// Numbers of a token's queries in a layer, and of its keys (as many as of its values).
  package var queryWidth: Int
  package var keyWidth: Int
  /// Bytes of a number, of weights, cache and messages alike.
  package var bytesPerNumber = 2.0

  package init(
    name: String, parameters: Double, layers: Int, hidden: Int, queryWidth: Int, keyWidth: Int,
    bytesPerNumber: Double = 2
  ) {
    precondition(parameters > 0 && layers > 0 && hidden > 0 && queryWidth > 0 && keyWidth > 0 && bytesPerNumber > 0)
    self.name = name
    self.parameters = parameters
    self.layers = layers
    self.hidden = hidden
    self.queryWidth = queryWidth
    self.keyWidth = keyWidth
    self.bytesPerNumber = bytesPerNumber
  }

  package var weightBytes: Double { bytesPerNumber * parameters }

  /// Of keys and values of all layers.
  package var cacheBytesPerToken: Double { 2 * bytesPerNumber * Double(keyWidth * layers) }

  /// Of queries, keys, values and results of one layer: (2 + 2/G) e d of Lamina's paper, arXiv 2405.01814v2, section 3.
  package var messageBytesPerLayer: Double { 2 * bytesPerNumber * Double(queryWidth + keyWidth) }

  /// The three of Lamina's paper.
  package static let known = [
    ModelSize(name: "llama-33b", parameters: 32.5e9, layers: 60, hidden: 6656, queryWidth: 6656, keyWidth: 6656),
    ModelSize(name: "llama-65b", parameters: 65.2e9, layers: 80, hidden: 8192, queryWidth: 8192, keyWidth: 8192),
    ModelSize(name: "llama3-70b", parameters: 70.6e9, layers: 80, hidden: 8192, queryWidth: 8192, keyWidth: 1024),
  ]
}
