package import KVCaches
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
    rotate(rotated.pointer, of: layer, to: position, kernels)
    let temperature = attention[layer].temperature?.factor(at: position) ?? 1
    kernels.scale(rotated.pointer, by: attention[layer].scale * temperature, count: rotated.count)
    let (reader, biases) = (SlotReader(self), slopes(layer: layer))
    let work = ProbabilityWork(headDim: shape.headDim, weight: 1 / Float(shape.groupSize))
    return (0..<shape.keyValueHeads).map { head in
      var sums = [Float](repeating: 0, count: Int(tokenCount))
      for query in head * shape.groupSize..<(head + 1) * shape.groupSize {
        work.partial.reset(rows: 0..<1)
        let row = QueryRows(
          rotated.pointer + query * shape.headDim, stride: shape.headDim, count: 1, rowsPerToken: 1,
          softCap: attention[layer].softCap ?? 0)
        reader.forEachBlock(layer: layer, head: head) { slots, run, first in
          kernels.attend(
            slots, run: run, queries: row, partial: work.partial.rows(from: 0),
            logWeights: bias(biases?[query], run: run, first: first, work), scratch: work.scratch.pointer)
        }
        sums.withUnsafeMutableBufferPointer { sums in
          guard let base = sums.baseAddress else { return }
          reader.forEachBlock(layer: layer, head: head) { slots, run, first in
            kernels.addColumnSums(
              slots, run: run, queries: row, max: work.partial.maximum.pointer, sum: work.partial.sum.pointer,
              rowWeights: work.weight.pointer, logWeights: bias(biases?[query], run: run, first: first, work),
              scratch: work.scratch.pointer, to: base + first)
          }
        }
      }
      return sums
    }
  }

  /// The buffers of one query.
  private final class ProbabilityWork {
    let partial: PartialAttention
    let scratch: Buffer<Float>
    /// What a query of a group counts, `[1]`.
    let weight = Buffer<Float>(count: 1)
    /// ALiBi only: what is added to logits, `[slot]`.
    private(set) var bias = Buffer<Float>(count: 0)

    init(headDim: Int, weight: Float) {
      partial = PartialAttention(rows: 1, headDim: headDim)
      scratch = Buffer(count: InstructionSet.attentionScratch(rows: 1, headDim: headDim))
      self.weight.pointer[0] = weight
    }

    func reserveBias(slots: Int) {
      if bias.count < slots { bias = Buffer(count: slots) }
    }
  }

  /// Rotates the queries of one token in a layer to a place in the stream.
  func rotate(_ queries: UnsafeMutablePointer<Float>, of layer: Int, to position: Int64, _ kernels: InstructionSet) {
    guard case .rotary(let rotary) = attention[layer].positions else { return }
    let angles = Buffer<Float>(count: rotary.dim)
    let sine = angles.pointer + rotary.dim / 2
    rotary.angles(at: position, cosine: angles.pointer, sine: sine)
    kernels.rotate(
      queries, out: queries, heads: shape.queryHeads, headStride: shape.headDim, headDim: shape.headDim,
      rotaryDim: rotary.dim, layout: rotary.layout, cosine: angles.pointer, sine: sine)
  }

  /// The slopes of a layer's query heads, nil without ALiBi.
  func slopes(layer: Int) -> [Float]? {
    guard case .linearBias(let slopes) = attention[layer].positions else { return nil }
    return slopes
  }

  private func bias(_ slope: Float?, run: Range<Int>, first: Int, _ work: ProbabilityWork) -> UnsafePointer<Float>? {
    guard let slope else { return nil }
    work.reserveBias(slots: run.upperBound)
    for slot in run { work.bias.pointer[slot] = -slope * Float(Int(tokenCount) - 1 - first - slot) }
    return UnsafePointer(work.bias.pointer)
  }
}
