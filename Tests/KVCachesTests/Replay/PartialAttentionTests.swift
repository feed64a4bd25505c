import KVCaches
import Kernels
import TestSupport
import Testing

@Suite("Partial attention")
struct PartialAttentionTests {
  private static let (rows, headDim) = (6, 20)

  private func random(_ seed: UInt64) -> PartialAttention {
    var random = SplitMix64(seed: seed)
    let partial = PartialAttention(rows: Self.rows, headDim: Self.headDim)
    let maxima: [Float] = [0, 80, -80, 1e30, -1e30, random.normal()]
    for row in 0..<Self.rows {
      partial.maximum[row] = maxima[(row + Int(seed)) % maxima.count]
      partial.sum[row] = Float.random(in: 0.5...4, using: &random)
      for dim in 0..<Self.headDim { partial.output[row * Self.headDim + dim] = random.normal() }
    }
    return partial
  }

  private func merged(_ parts: [PartialAttention], _ kernels: InstructionSet) -> PartialAttention {
    let total = PartialAttention(rows: Self.rows, headDim: Self.headDim)
    for part in parts { total.merge(part, rows: Self.rows, kernels: kernels) }
    return total
  }

  private func values(_ partial: PartialAttention) -> [[Float]] {
    [Array(partial.maximum.elements), Array(partial.sum.elements), Array(partial.output.elements)]
  }

  private func finished(_ partial: PartialAttention, _ kernels: InstructionSet) -> [Float] {
    let copy = merged([partial], kernels)
    copy.finish(rows: Self.rows, kernels: kernels)
    return Array(copy.output.elements)
  }

  @Test("merge does not depend on order or grouping")
  func commutesAndAssociates() {
    for kernels in InstructionSet.available {
      for seed in UInt64(0)..<6 {
        let (a, b, c) = (random(seed), random(seed + 10), random(seed + 20))
        let reference = finished(merged([a, b, c], kernels), kernels)
        let groupings = [
          merged([c, b, a], kernels), merged([b, a, c], kernels), merged([merged([a, b], kernels), c], kernels),
          merged([a, merged([b, c], kernels)], kernels),
        ]
        for grouping in groupings {
          #expect(relativeError(finished(grouping, kernels), reference) <= 1e-6, "\(kernels), seed \(seed)")
        }
      }
    }
  }

  @Test("the empty partial changes nothing, on either side")
  func emptyIsNeutral() {
    for kernels in InstructionSet.available {
      let partial = random(3)
      let empty = PartialAttention(rows: Self.rows, headDim: Self.headDim)
      #expect(values(merged([partial, empty], kernels)) == values(partial))
      #expect(values(merged([empty, partial], kernels)) == values(partial))
      #expect(values(merged([empty, empty], kernels)) == values(empty))
      #expect(finished(empty, kernels) == [Float](repeating: 0, count: Self.rows * Self.headDim))
    }
  }

  @Test("merging parts of the keys equals attending to all of them")
  func partsEqualWhole() {
    var random = SplitMix64(seed: 9)
    let (slots, headDim) = (100, 16)
    let bytes = SlotStorage.keyBytes(type: .float32, headDim: headDim, slots: slots)
    let memory = Buffer<UInt8>(count: 2 * bytes)
    let storage = SlotStorage(
      type: .float32, headDim: headDim, slots: slots, keys: UnsafeMutableRawPointer(memory.pointer),
      values: UnsafeMutableRawPointer(memory.pointer + bytes))
    let kernels = InstructionSet.current
    for slot in 0..<slots {
      kernels.writeKey(random.normals(headDim), to: slot, of: storage)
      kernels.writeValue(random.normals(headDim), to: slot, of: storage)
    }
    let query = random.normals(headDim)
    let scratch = Buffer<Float>(count: InstructionSet.attentionScratch(rows: 1, headDim: headDim))
    let attend = { (run: Range<Int>) -> PartialAttention in
      let partial = PartialAttention(rows: 1, headDim: headDim)
      query.withUnsafeBufferPointer {
        kernels.attend(
          storage, run: run, queries: QueryRows($0.baseAddress!, stride: headDim, count: 1, rowsPerToken: 1),
          partial: partial.rows(from: 0), scratch: scratch.pointer)
      }
      return partial
    }
    let whole = attend(0..<slots)
    whole.finish(rows: 1, kernels: kernels)
    for cut in [0, 1, 15, 16, 50, 99, 100] {
      let first = attend(0..<cut)
      first.merge(attend(cut..<slots), rows: 1, kernels: kernels)
      first.finish(rows: 1, kernels: kernels)
      #expect(relativeError(Array(first.output.elements), Array(whole.output.elements)) <= 1e-6, "cut at \(cut)")
    }
  }
}
