package import Kernels

extension KVCache {
  /// Brings the cache to where `tokens` more tokens would have brought it, without computing them.
  ///
  /// Counters and memory are those of a real feed; every used slot holds a pseudo-random key and value between -1 and 1.
  /// For measurements at a depth: the time of a step does not depend on the values.
  package func fill(tokens: Int, kernels: InstructionSet) {
    precondition(tokens >= 0, "a negative count of tokens")
    var left = tokens
    while left > 0 {
      let chunk = admissibleChunk(min(left, 512))
      beginStep(tokens: chunk)
      left -= chunk
    }
    scatter(kernels)
    for companion in companions { companion.scatter(kernels) }
  }

  private func scatter(_ kernels: InstructionSet) {
    for index in storage.indices { scatter(into: storage[index], slots: usedSlots(of: index, by: stages), kernels) }
    boundStoredPages(kernels)
    if let stage = stages[stages.count - 1] as? MeltingStage { melt(stage.melted, kernels) }
  }

  /// Lets so many tokens melt, or as many as it takes until the summary no longer changes in kind.
  private func melt(_ count: Int64, _ kernels: InstructionSet) {
    guard let summary else { return }
    let values = Self.noise(count: 4096 + shape.headDim, seed: 2)
    let scratch = Buffer<Float>(count: summary.scratchFloats(rows: 1))
    var next = 0
    for head in 0..<heads.count {
      for _ in 0..<min(count, Int64(summary.fullAfter)) {
        summary.melt(
          key: values.pointer + next, value: values.pointer + (next + 2048) % 4096, head: head,
          scratch: scratch.pointer, kernels)
        next = (next + 61) % 4096
      }
    }
  }

  private func scatter(into storage: StageStorage, slots: Int, _ kernels: InstructionSet) {
    let values = Self.noise(count: 4096 + shape.headDim, seed: 1)
    var next = 0
    for block in 0..<storage.blockCount {
      let used = min(slots - block * storage.slotsPerBlock, storage.slotsPerBlock)
      guard used > 0 else { return }
      for head in 0..<heads.count {
        let target = storage.block(block).slots(head: head, type: storage.type, headDim: shape.headDim)
        for slot in 0..<used {
          kernels.writeKey(values.pointer + next, to: slot, of: target)
          kernels.writeValue(values.pointer + (next + 2048) % 4096, to: slot, of: target)
          next = (next + 61) % 4096
        }
      }
    }
  }

  /// Numbers between -1 and 1, the same for the same seed: the high bits of Knuth's MMIX generator.
  package static func noise(count: Int, seed: UInt64) -> Buffer<Float> {
    let numbers = Buffer<Float>(count: count)
    var state = seed
    for index in 0..<count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      numbers.pointer[index] = Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-31
    }
    return numbers
  }
}
