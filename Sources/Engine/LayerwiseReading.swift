package import KVCaches
import Kernels
import Models

/// A prompt on its way through the model, all its chunks through one layer after another.
///
/// It advances by a chunk of a layer, so other sequences' steps fit in between, and it can rest at any time and go on
/// later. The hidden state of all tokens is held meanwhile: `hiddenSize` floats a token.
package final class LayerwiseReading {
  private let prompt: LayerwisePrompt
  private let tokens: [Int32]
  /// What only an engine can make, with the first advance.
  private var state: State?
  private var layer = 0
  /// Tokens that have gone through the current layer.
  private var position = 0
  /// Tokens that have gone through all layers.
  package private(set) var finishedTokens = 0
  /// Whether the prompt has gone through all layers, and ended.
  package private(set) var isFinished = false
  /// The row that holds the last token where the engine has just advanced to the end.
  package private(set) var lastRow = 0

  private struct State {
    /// `[token, hidden]`
    let hidden: Buffer<Float>
    let attention: SingleLayer
  }

  /// - Parameter tokens: all of the prompt
  /// - Returns: nil where the memory does not ask for this order, holds tokens already, or would keep the whole prompt.
  package init?(of tokens: [Int32], into memory: KVCache) {
    guard let prompt = LayerwisePrompt(cache: memory, tokens: tokens.count) else { return nil }
    (self.prompt, self.tokens) = (prompt, tokens)
  }

  /// Bytes of keys and values, and of what decides on them, held now.
  package var bytes: Int { prompt.bytes }

  /// Layers that all tokens go through.
  package var layers: Int { prompt.layers }

  /// Tokens that have not gone through the current layer yet.
  var waitingRows: Int { tokens.count - position }

  /// Tokens that have gone through a layer, over all layers.
  package var rowsRead: Int { layer * tokens.count + position }

  /// The slots to which the next token attends in the current layer.
  var attendedSlots: Int { prompt.layerCache.attendedSlots }

  /// Brings the next chunk through the current layer.
  ///
  /// - Parameter rows: the most tokens of the chunk; no more than the engine takes at once
  /// - Precondition: it is not finished, and the engine is always the same.
  package func advance(_ engine: InferenceEngine, rows: Int = .max) {
    precondition(!isFinished, "a prompt that has been read")
    let (model, workspace) = (engine.model, engine.workspace)
    let width = model.configuration.hiddenSize
    let state = begin(engine)
    let range = position..<min(position + min(rows, engine.chunk), tokens.count)
    let kept = state.hidden.pointer + position * width
    // What stands beside the residual stream is made anew for each layer, and not held.
    if layer == 0 || model.buffers.beside != nil {
      tokens.withUnsafeBufferPointer {
        model.embed(UnsafeBufferPointer(rebasing: $0[range]), workspace: workspace, team: engine.team)
      }
    }
    if layer > 0 {
      workspace.hidden.pointer.update(from: kept, count: range.count * width)
    }
    state.attention.attention.beginStep(prompt.layerCache, rows: range.count)
    model.forward(
      layer: layer, rows: range.count, attention: state.attention, workspace: workspace, team: engine.team)
    kept.update(from: workspace.hidden.pointer, count: range.count * width)
    position = range.upperBound
    let isLastLayer = layer == model.configuration.attention.layers - 1
    if isLastLayer { finishedTokens = position }
    guard position == tokens.count else { return }
    prompt.finishLayer(team: engine.team, kernels: engine.kernels)
    (layer, position) = (layer + 1, 0)
    guard isLastLayer else { return }
    prompt.finish()
    (lastRow, isFinished) = (range.count - 1, true)
  }

  private func begin(_ engine: InferenceEngine) -> State {
    if let state { return state }
    let attention = LocalAttention(layers: prompt.layerCache.attention, team: engine.team, kernels: engine.kernels)
    let state = State(
      hidden: Buffer(count: tokens.count * engine.model.configuration.hiddenSize),
      attention: SingleLayer(attention: attention))
    self.state = state
    return state
  }
}

/// The memory of one layer alone, whichever of the model's it is.
private struct SingleLayer: LayerAttention {
  let attention: LocalAttention

  func begin(layer: Int, queries: UnsafePointer<Float>) { attention.begin(layer: 0, queries: queries) }

  func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?,
    output: UnsafeMutablePointer<Float>
  ) {
    attention.finish(layer: 0, keys: keys, values: values, output: output)
  }
}
