package import KVCaches
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
    guard case .none = attention[0].positions, plan == .full, attention.count == 1 else {
      preconditionFailure("only one layer's plain list of tokens takes in more without a step of attention")
    }
    let first = Int(tokenCount)
    beginStep(tokens: tokens)
    for head in 0..<shape.keyValueHeads {
      SlotReader(self).forEachBlock(layer: 0, head: head) { slots, used, firstOfBlock in
        for slot in used where firstOfBlock + slot >= first {
          let offset = ((firstOfBlock + slot - first) * shape.keyValueHeads + head) * shape.headDim
          kernels.writeKey(keys + offset, to: slot, of: slots)
          kernels.writeValue(values + offset, to: slot, of: slots)
        }
      }
    }
  }
}
