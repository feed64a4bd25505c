package import Kernels

extension KVCache {
  /// How the query of the newest token spreads its attention over all tokens, the mean over each group's heads.
  ///
  /// The softmax of the definition, over the keys as the cache stores them; learned sink logits are left out, so that the
  /// probabilities of a head add up to 1. Two passes over the layer's keys on the calling thread.
  ///
  /// - Parameter queries: the token's queries in this layer, without positions, `[query head, headDim]`
  /// - Returns: probabilities, `[KV head][token]`
  /// - Precondition: the cache keeps every token, and the layer has taken in the newest one.
  package func probabilities(
    layer: Int, queries: UnsafePointer<Float>, kernels: InstructionSet
  ) -> [[Float]] {
    precondition(plan == .full && tokenCount > 0, "only a full cache has a slot for every token")
    let position = tokenCount - 1
    let rotated = Buffer<Float>(count: shape.queryHeads * shape.headDim)
    rotated.pointer.update(from: queries, count: rotated.count)
    rotate(rotated.pointer, to: position, kernels)
    kernels.scale(rotated.pointer, by: 1 / Float(shape.headDim).squareRoot(), count: rotated.count)
    let work = ProbabilityWork(headDim: shape.headDim, weight: 1 / Float(shape.groupSize))
    return (0..<shape.keyValueHeads).map { head in
      var sums = [Float](repeating: 0, count: Int(tokenCount))
      for query in head * shape.groupSize..<(head + 1) * shape.groupSize {
        work.partial.reset(rows: 0..<1)
        let row = QueryRows(
          rotated.pointer + query * shape.headDim, stride: shape.headDim, count: 1, rowsPerToken: 1)
        forEachBlock(layer: layer, head: head) { slots, run, first in
          kernels.attend(
            slots, run: run, queries: row, partial: work.partial.rows(from: 0),
            logWeights: bias(query: query, run: run, first: first, work), scratch: work.scratch.pointer)
        }
        sums.withUnsafeMutableBufferPointer { sums in
          guard let base = sums.baseAddress else { return }
          forEachBlock(layer: layer, head: head) { slots, run, first in
            kernels.addColumnSums(
              slots, run: run, queries: row, max: work.partial.maximum.pointer, sum: work.partial.sum.pointer,
              rowWeights: work.weight.pointer, logWeights: bias(query: query, run: run, first: first, work),
              scratch: work.scratch.pointer, to: base + first)
          }
        }
      }
      return sums
    }
  }

  /// The buffers of one query.
  private struct ProbabilityWork {
    let partial: PartialAttention
    let scratch: Buffer<Float>
    /// What a query of a group counts, `[1]`.
    let weight = Buffer<Float>(count: 1)
    /// ALiBi only: what is added to logits, `[slot]`.
    let bias = Buffer<Float>(count: StageStorage.growthSlots)

    init(headDim: Int, weight: Float) {
      partial = PartialAttention(rows: 1, headDim: headDim)
      scratch = Buffer(count: InstructionSet.attentionScratch(rows: 1, headDim: headDim))
      self.weight.pointer[0] = weight
    }
  }

  /// Calls `body` with the slots of each block, the used ones, and the place in the stream of the first.
  func forEachBlock(layer: Int, head: Int, _ body: (SlotStorage, Range<Int>, Int) -> Void) {
    let size = storage[0].slotsPerBlock
    for block in 0..<storage[0].blockCount {
      let used = min(Int(tokenCount) - block * size, size)
      guard used > 0 else { return }
      let slots = storage[0].block(block).slots(
        head: layer * shape.keyValueHeads + head, type: slotType.elementType, headDim: shape.headDim)
      body(slots, 0..<used, block * size)
    }
  }

  func rotate(_ queries: UnsafeMutablePointer<Float>, to position: Int64, _ kernels: InstructionSet) {
    guard case .rotary(let rotary) = positions else { return }
    let angles = Buffer<Float>(count: rotary.dim)
    let sine = angles.pointer + rotary.dim / 2
    rotary.angles(at: position, cosine: angles.pointer, sine: sine)
    kernels.rotate(
      queries, out: queries, heads: shape.queryHeads, headStride: shape.headDim, headDim: shape.headDim,
      rotaryDim: rotary.dim, layout: rotary.layout, cosine: angles.pointer, sine: sine)
  }

  private func bias(query: Int, run: Range<Int>, first: Int, _ work: ProbabilityWork) -> UnsafePointer<Float>? {
    guard case .linearBias(let slopes) = positions else { return nil }
    for slot in run { work.bias.pointer[slot] = -slopes[query] * Float(Int(tokenCount) - 1 - first - slot) }
    return UnsafePointer(work.bias.pointer)
  }
}
