package import Kernels

extension KVCache {
  /// Takes in the keys and values of a chunk without attending to anything: for a cache of one layer that keeps every token
  /// and no positions, beside which others are measured now and then.
  ///
  /// - Parameters:
  ///   - keys: `[token, KV head, headDim]`; `values` likewise
  /// - Precondition: the plan is `full`, of one layer, without positions.
  package func append(
    keys: UnsafePointer<Float>, values: UnsafePointer<Float>, tokens: Int, kernels: InstructionSet
  ) {
    guard case .none = positions, plan == .full, shape.layers == 1 else {
      preconditionFailure("only one layer's plain list of tokens takes in more without a step of attention")
    }
    beginStep(tokens: tokens)
    for move in step.moves {
      guard case .chunk(let token) = move.source, let slot = move.slot else { continue }
      let (block, place) = slot.quotientAndRemainder(dividingBy: places[0].slotsPerBlock)
      for head in 0..<shape.keyValueHeads {
        let slots = storage[0].block(block).slots(head: head, type: slotType.elementType, headDim: shape.headDim)
        let offset = (token * shape.keyValueHeads + head) * shape.headDim
        kernels.writeKey(keys + offset, to: place, of: slots)
        kernels.writeValue(values + offset, to: place, of: slots)
      }
    }
  }
}
