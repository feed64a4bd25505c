import Kernels

extension StepTables {
  /// Copies a slot that is about to be written, where a log is kept; overwrites the scratch.
  ///
  /// - Parameters:
  ///   - write: which of the step's writes it is in this head
  ///   - head: where the cache stores the head
  func spill(
    _ slots: SlotStorage, _ target: (block: Int, slot: Int), write: Int, place head: Int, _ scratch: ThreadScratch,
    _ kernels: InstructionSet
  ) {
    undoLog?.spill(
      slots, block: target.block, slot: target.slot, write: write, place: head, row: scratch.key.pointer, kernels)
  }
}
