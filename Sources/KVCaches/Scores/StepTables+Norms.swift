/// Scores times the norms of values, in a cache that compares those.
///
/// A value never changes while its token is held, so what attention gives a slot is multiplied as it is added up, which
/// equals multiplying the sum.
extension StepTables {
  /// The norms of the values in a head's slots, `[slot]`; nil where the rule asks for none.
  func norms(head: Int, layer: Int, _ selection: SelectionTables) -> UnsafeMutablePointer<Float>? {
    selection.norms.map { $0 + place(layer: layer, head: head) * selection.slots }
  }

  /// Multiplies the first scores of the chunk's tokens in one KV head by the norms of their values.
  func weighChunk(head: Int, _ call: LocalAttention.LayerCall, _ selection: SelectionTables) {
    guard selection.norms != nil else { return }
    let scores = selection.chunkScores.pointer + head * rows.count
    let norms = selection.chunkNorms.pointer + head * rows.count
    let heads = selection.rule.isHomogeneous ? 0..<shape.keyValueHeads : head..<head + 1
    for token in 0..<rows.count {
      let values = call.values + keyValueOffset(token: token, head: heads.lowerBound)
      norms[token] = absoluteSum(values, count: heads.count * shape.headDim)
      scores[token] *= norms[token]
    }
  }

  /// Takes the norm of the value with which a slot was filled to the slot.
  func moveNorm(to slot: Int32, head: Int, layer: Int, _ slots: SlotOrigins, _ selection: SelectionTables) {
    guard let norms = norms(head: head, layer: layer, selection) else { return }
    let origin = slots.origin[Int(slot)]
    norms[Int(slot)] =
      origin >= 0 ? selection.chunkNorms.pointer[head * rows.count + Int(origin)] : norms[Int(-2 - origin)]
  }

  private func absoluteSum(_ values: UnsafePointer<Float>, count: Int) -> Float {
    var sum: Float = 0
    for index in 0..<count { sum += values[index].magnitude }
    return sum
  }
}
