package import KVCaches
package import Kernels

/// A batch on its way through a model beside others: its tokens, its memory and its buffers.
package struct ForwardLane<Attention: LayerAttention> {
  package let tokens: UnsafeBufferPointer<Int32>
  package let attention: Attention
  package let workspace: ForwardWorkspace

  package init(tokens: UnsafeBufferPointer<Int32>, attention: Attention, workspace: ForwardWorkspace) {
    precondition(!tokens.isEmpty && tokens.count <= workspace.rows)
    (self.tokens, self.attention, self.workspace) = (tokens, attention, workspace)
  }
}

extension DecoderModel {
  /// Brings several batches through all layers by turns (staggered pipelining, Lamina): each computes from the result of one
  /// attention up to where it needs the next one's, and while that is under way elsewhere the others compute.
  ///
  /// Each batch gets what it gets alone, bit for bit.
  package func forward<Attention: LayerAttention>(_ lanes: [ForwardLane<Attention>], team: WorkerTeam) {
    for lane in lanes {
      embed(lane.tokens, workspace: lane.workspace, team: team)
      forward(.untilResult, ofLayer: 0, lane, team: team)
    }
    for layer in 0..<configuration.layers.count {
      for lane in lanes {
        forward(.fromResult, ofLayer: layer, lane, team: team)
        if layer + 1 < configuration.layers.count { forward(.untilResult, ofLayer: layer + 1, lane, team: team) }
      }
    }
  }

  private func forward<Attention: LayerAttention>(
    _ part: LayerPart, ofLayer layer: Int, _ lane: ForwardLane<Attention>, team: WorkerTeam
  ) {
    forward(
      part, ofLayer: layer, rows: lane.tokens.count, attention: lane.attention, workspace: lane.workspace, team: team)
  }
}
