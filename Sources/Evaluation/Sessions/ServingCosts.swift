/// What a serving machine takes for its work, for a simulation.
package struct ServingCosts: Sendable {
  package var name: String
  /// Bytes of a token's keys and values.
  package var bytesPerToken: Double
  /// Seconds of reading a token of a prompt.
  package var prefillSeconds: Double
  /// Seconds of a step that writes a token for everybody.
  package var decodeSeconds: Double
  /// Tokens that the model can see; of longer histories the oldest half of the window is dropped.
  package var window: Int
  /// Requests that are answered together.
  package var batch = 64
  /// Bytes a second from memory to where the model computes, and from disk to memory.
  package var memoryBandwidth = 26e9
  package var diskBandwidth = 5e9
  /// Layers that are loaded one after another.
  package var layers = 80

  package init(
    name: String, bytesPerToken: Double, prefillSeconds: Double, decodeSeconds: Double, window: Int, layers: Int
  ) {
    (self.name, self.bytesPerToken, self.prefillSeconds) = (name, bytesPerToken, prefillSeconds)
    (self.decodeSeconds, self.window, self.layers) = (decodeSeconds, window, layers)
  }

  /// The machine of CachedAttention's evaluation (4 A100, PCIe 4): bytes are the models'; the time of a prompt is what the
  /// paper gives for LLaMA-65B (360 ms for 2,048 tokens), in proportion to parameters; the time of a step is that of reading
  /// the weights twice over, for want of a source.
  package static let paper: [ServingCosts] = [
    ServingCosts(
      name: "llama-13b", bytesPerToken: 0.78 * 1_048_576, prefillSeconds: 0.035e-3, decodeSeconds: 0.0065, window: 4096,
      layers: 40),
    ServingCosts(
      name: "llama-65b", bytesPerToken: 2.5 * 1_048_576, prefillSeconds: 0.176e-3, decodeSeconds: 0.0325, window: 2048,
      layers: 80),
    ServingCosts(
      name: "llama-70b", bytesPerToken: 0.31 * 1_048_576, prefillSeconds: 0.189e-3, decodeSeconds: 0.035, window: 4096,
      layers: 80),
    ServingCosts(
      name: "falcon-40b", bytesPerToken: 0.12 * 1_048_576, prefillSeconds: 0.108e-3, decodeSeconds: 0.02, window: 2048,
      layers: 60),
  ]
}
