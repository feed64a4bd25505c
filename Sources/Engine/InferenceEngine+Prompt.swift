package import KVCaches
import Kernels
import Models

/// Prompts that are known as a whole.
extension InferenceEngine {
  /// Brings a prompt through the model and ends it, in the order that the cache asks for.
  ///
  /// Layer by layer the hidden state of all tokens is kept beside the cache: `hiddenSize` floats a token.
  ///
  /// - Parameters:
  ///   - afterChunk: called after each chunk that has gone through all layers, with its range in `tokens` and the bytes
  ///     that the cache holds; after the last one its rows have logits.
  ///   - shouldContinue: asked after each chunk of each layer; a prompt that goes layer by layer starts anew after a
  ///     false.
  /// - Returns: how many tokens were taken in.
  @discardableResult
  package func readPrompt(
    _ tokens: [Int32], cache: KVCache, afterChunk: (_ range: Range<Int>, _ cacheBytes: Int) -> Void = { _, _ in },
    while shouldContinue: () -> Bool = { true }
  ) -> Int {
    if let prompt = LayerwisePrompt(cache: cache, tokens: tokens.count) {
      let isDone = read(tokens, prompt, afterChunk: afterChunk, while: shouldContinue)
      return isDone ? tokens.count : 0
    }
    let count = feed(tokens, cache: cache) { range in
      afterChunk(range, cache.bytes)
      return shouldContinue()
    }
    if count == tokens.count { finishPrompt(of: cache) }
    return count
  }

  private func read(
    _ tokens: [Int32], _ prompt: LayerwisePrompt, afterChunk: (_ range: Range<Int>, _ cacheBytes: Int) -> Void,
    while shouldContinue: () -> Bool
  ) -> Bool {
    let (width, layers) = (model.configuration.hiddenSize, model.configuration.attention.layers)
    let hidden = Buffer<Float>(count: tokens.count * width)
    let attention = LayerAttention(
      attention: LocalAttention(shape: prompt.layerCache.shape, team: team, kernels: kernels))
    for layer in 0..<layers {
      var bytes = 0
      for first in stride(from: 0, to: tokens.count, by: chunk) {
        let range = first..<min(first + chunk, tokens.count)
        let kept = hidden.pointer + first * width
        if layer == 0 {
          tokens.withUnsafeBufferPointer {
            model.embed(UnsafeBufferPointer(rebasing: $0[range]), workspace: workspace, team: team)
          }
        } else {
          workspace.hidden.pointer.update(from: kept, count: range.count * width)
        }
        attention.attention.beginStep(prompt.layerCache, rows: range.count)
        model.forward(layer: layer, rows: range.count, attention: attention, workspace: workspace, team: team)
        kept.update(from: workspace.hidden.pointer, count: range.count * width)
        bytes = prompt.bytes
        if layer == layers - 1 { afterChunk(range, bytes) }
        guard shouldContinue() else { return false }
      }
      prompt.finishLayer(team: team, kernels: kernels)
    }
    prompt.finish()
    return true
  }
}

/// The memory of one layer alone, whichever of the model's it is.
private struct LayerAttention: AttentionService {
  let attention: LocalAttention

  func begin(layer: Int, queries: UnsafePointer<Float>) { attention.begin(layer: 0, queries: queries) }

  func finish(
    layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>, sinkLogits: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    attention.finish(layer: 0, keys: keys, values: values, sinkLogits: sinkLogits, output: output)
  }
}
