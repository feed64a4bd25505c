package import KVCaches
package import Kernels

/// A decoder-only language model: token ids in, logits out.
///
/// A model knows nothing of caches, tokenizers or the network; it meets its memory through a `LayerAttention`. A step
/// has parts, because most rows of a prompt need no logits, and a prompt may go through one layer after another: `embed`
/// makes the rows' hidden state, `forward` brings them through a layer, `logits` projects some of them.
package protocol DecoderModel: Sendable {
  var configuration: ModelConfiguration { get }

  /// What a workspace for this model holds.
  var buffers: BufferPlan { get }

  /// Bytes of the weights in memory.
  var weightBytes: Int { get }

  /// Bytes of weights that one decoded token reads.
  var bytesPerToken: Int { get }

  /// Weights of the layers' matrices by their type, each of which meets every token once; the output matrix is not counted.
  var layerWeights: [ElementType: Int] { get }

  /// Makes the hidden state of a batch of tokens; row r of the workspace belongs to token r.
  ///
  /// - Precondition: every id is below the vocabulary size, and the workspace has as many rows as there are tokens.
  func embed(_ tokens: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam)

  /// Brings the hidden state of the first `rows` rows through a part of one layer.
  func forward<Attention: LayerAttention>(
    _ part: LayerPart, ofLayer layer: Int, rows: Int, attention: Attention, workspace: ForwardWorkspace,
    team: WorkerTeam)

  /// The last hidden state of rows of the step, in any order: what their logits are made of, behind the last norm.
  ///
  /// - Precondition: there are at most `workspace.logitRows` rows, and at least one.
  /// - Returns: `[row, hidden]`, valid until the next call of anything.
  func lastHidden(
    of rows: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam
  ) -> UnsafePointer<Float>

  /// Projects rows of the step onto the vocabulary, in any order: row i of `workspace.logits` is that of `rows[i]`.
  ///
  /// - Precondition: there are at most `workspace.logitRows` rows.
  func logits(of rows: UnsafeBufferPointer<Int32>, workspace: ForwardWorkspace, team: WorkerTeam)
}

/// The parts of a layer, between which the result of its attention is waited for.
package enum LayerPart: Sendable {
  /// What the result is not needed for; all of a layer without attention.
  case untilResult
  /// The result and what is made of it.
  case fromResult
}

extension DecoderModel {
  /// Brings the hidden state of the first `rows` rows through one layer.
  package func forward<Attention: LayerAttention>(
    layer: Int, rows: Int, attention: Attention, workspace: ForwardWorkspace, team: WorkerTeam
  ) {
    forward(.untilResult, ofLayer: layer, rows: rows, attention: attention, workspace: workspace, team: team)
    forward(.fromResult, ofLayer: layer, rows: rows, attention: attention, workspace: workspace, team: team)
  }

  /// Brings a batch of tokens through all layers.
  ///
  /// - Precondition: that of `embed`, for at least one token.
  package func forward<Attention: LayerAttention>(
    _ tokens: UnsafeBufferPointer<Int32>, attention: Attention, workspace: ForwardWorkspace, team: WorkerTeam
  ) {
    precondition(!tokens.isEmpty && tokens.count <= workspace.rows)
    embed(tokens, workspace: workspace, team: team)
    for layer in 0..<configuration.layers.count {
      forward(layer: layer, rows: tokens.count, attention: attention, workspace: workspace, team: team)
    }
  }

  /// Projects rows that follow each other.
  package func logits(of rows: Range<Int>, workspace: ForwardWorkspace, team: WorkerTeam) {
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: rows.count) { list in
      for (index, row) in rows.enumerated() { list.initializeElement(at: index, to: Int32(row)) }
      logits(of: UnsafeBufferPointer(list), workspace: workspace, team: team)
    }
  }
}
