package import KVCaches
package import Kernels

/// A decoder-only language model: token ids in, logits out.
///
/// A new architecture is one file that reads from top to bottom and one line in `ModelRegistry`. A model knows nothing of
/// caches, tokenizers or the network; it meets its memory through an `AttentionService`. A step has two parts, because
/// most rows of a prompt need no logits: `forward` brings the rows through all layers, `logits` projects some of them.
package protocol DecoderModel: Sendable {
  var configuration: ModelConfiguration { get }

  /// Bytes of the weights in memory.
  var weightBytes: Int { get }

  /// Bytes of weights that one decoded token reads.
  var bytesPerToken: Int { get }

  /// Weights of the layers' matrices by their type, each of which meets every token once; the output matrix is not counted.
  var layerWeights: [ElementType: Int] { get }

  /// Brings a batch of tokens through all layers; row r of the workspace's hidden state belongs to token r.
  ///
  /// - Precondition: every id is below the vocabulary size, and the workspace has as many rows as there are tokens.
  func forward<Attention: AttentionService>(
    _ tokens: UnsafeBufferPointer<Int32>, attention: Attention, workspace: ForwardWorkspace, team: WorkerTeam)

  /// Projects the given rows onto the vocabulary, into `workspace.logits` from its first row on.
  ///
  /// - Precondition: there are at most `workspace.logitRows` rows.
  func logits(of rows: Range<Int>, workspace: ForwardWorkspace, team: WorkerTeam)
}
