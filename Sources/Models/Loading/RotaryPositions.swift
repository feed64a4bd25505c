import KVCaches
import Kernels

/// A model's rotary embedding as its file describes it.
struct RotaryPositions {
  let positions: PositionEncoding
  var long: AttentionLayer.LongPositions?
  /// What cosines and sines are multiplied by. It enters a logit twice.
  var magnitude = 1.0

  /// Gives a layer these positions; a magnitude becomes part of the scale of its logits where all of a head turns.
  func apply(to layer: inout AttentionLayer) {
    layer.positions = positions
    layer.longPositions = long
    if positions.rotaryDim == layer.headDim { layer.scale *= Float(magnitude * magnitude) }
  }

  /// What a head's query is multiplied by where only some of its dimensions turn, `[headDim]`; nil where nothing is.
  func queryFactors(headDim: Int) -> [Float]? {
    guard magnitude != 1, positions.rotaryDim < headDim else { return nil }
    return (0..<headDim).map { $0 < positions.rotaryDim ? Float(magnitude * magnitude) : 1 }
  }
}
