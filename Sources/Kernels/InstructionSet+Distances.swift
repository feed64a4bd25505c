import CKernels

/// How near keys are to each other, for stages in which near keys melt together.
extension InstructionSet {
  /// Writes the squared distance of a key from each of the first `slots` stored keys; infinity where one is not a number.
  ///
  /// The keys are taken as they are stored: a distance is the same bits from either side.
  ///
  /// - Parameters:
  ///   - weight: of the key; with `weights`, `[slot]`, a distance is multiplied by the product of both weights over their
  ///     sum, which makes it the growth of the squared error when the two are merged into their mean (Ward's cost).
  ///   - out: `[slot]`
  package func distances(
    of key: UnsafePointer<Float>, weight: Float = 1, to storage: SlotStorage, slots: Int,
    weights: UnsafePointer<Float>? = nil, out: UnsafeMutablePointer<Float>
  ) {
    precondition(slots >= 0 && slots <= storage.slots, "the run leaves the storage")
    kernels.pointee.slot_distances(
      storage.type.kernelType, Int32(storage.headDim), storage.keys, Int32(slots), key, weight, weights, out)
  }

  /// Lets points know that one of them has moved, each of which knows its nearest other one.
  ///
  /// Where the point is now nearer than the nearest one known, or as near and of a lower index, it becomes that. Where it was
  /// the nearest and has gone farther, `nearest` becomes the complement of its index, and `smallest` stays as what no
  /// distance is below.
  ///
  /// - Parameters:
  ///   - distances: of the point that moved from each, `[point]`.
  ///   - smallest: `[point]`
  ///   - nearest: `[point]`
  package func updateNearest(
    to index: Int, distances: UnsafePointer<Float>, count: Int, smallest: UnsafeMutablePointer<Float>,
    nearest: UnsafeMutablePointer<Int32>
  ) {
    precondition(count >= 0 && count <= Int32.max && index >= 0 && index < count, "point out of range")
    kernels.pointee.update_nearest(Int32(index), distances, Int32(count), smallest, nearest)
  }

  /// The index of the smallest of `count` numbers, the first where several are; 0 where none is below infinity.
  package func firstSmallest(_ x: UnsafePointer<Float>, count: Int) -> Int {
    precondition(count >= 0 && count <= Int32.max, "negative count")
    return Int(kernels.pointee.first_smallest(x, Int32(count)))
  }

  /// Writes the products of rows of floats with the first `slots` stored keys, in float32 whatever their type.
  ///
  /// - Parameters:
  ///   - rows: `[row, headDim]`
  ///   - out: `[row, slot]`, `outStride` floats between rows, `slots` where it is nil.
  package func products(
    of rows: UnsafePointer<Float>, count: Int = 1, with storage: SlotStorage, slots: Int,
    out: UnsafeMutablePointer<Float>, outStride: Int? = nil
  ) {
    precondition(slots >= 0 && slots <= storage.slots, "the run leaves the storage")
    precondition(count >= 0 && outStride ?? slots >= slots, "rows must not overlap")
    var segment = sluice_linear_segment(
      type: storage.keyType.kernelType, rows: Int32(slots), columns: Int32(storage.headDim),
      panels: UnsafePointer(storage.keys.assumingMemoryBound(to: UInt8.self)), out: out,
      out_stride: outStride ?? slots, accumulate: 0)
    var activations = sluice_activations(
      values: rows, stride: storage.headDim, quants: nil, scales: nil, sums: nil, columns: Int32(storage.headDim))
    kernels.pointee.linear(&segment, 0, Int32((slots + 15) / 16), &activations, 0, Int32(count), 0)
  }
}
