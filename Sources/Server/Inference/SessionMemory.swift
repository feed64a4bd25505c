import Engine
import KVCaches

/// What the memory of a conversation was at one moment.
struct SessionMemory: Sendable {
  let plan: KVCache.Plan
  let slotType: KVCache.SlotType
  let bytes: Int
  /// Whether an answer is being written with it.
  let isInUse: Bool
  /// Tokens that went through the model.
  let readTokens: Int
  /// Tokens that are still to be read.
  let waitingTokens: Int
  /// Tokens held apart by the heads that keep most.
  let heldTokens: Int
  /// Which of them they are, by groups of heads; nil where nobody noted it from the start.
  let groups: [HeldTokens]?

  /// Copies what can be told of a sequence; on the model's thread.
  init(_ sequence: Sequence, isInUse: Bool) {
    let memory = sequence.memory
    (plan, slotType, bytes, self.isInUse) = (memory.plan, memory.slotType, sequence.bytes, isInUse)
    (readTokens, waitingTokens) = (Int(memory.tokenCount), sequence.waitingTokens)
    (heldTokens, groups) = (memory.heldTokens, memory.tokensByStage())
  }
}
