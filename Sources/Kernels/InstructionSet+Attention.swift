import CKernels

/// The keys and values of one KV head: key panels of 16 slots and one row of values a slot, both in `type`, but for Q4_1:
/// beside values of 4 bits stand keys of 8.
package struct SlotStorage: @unchecked Sendable {
  package let type: ElementType
  package let headDim: Int
  package let slots: Int
  package let keys: UnsafeMutableRawPointer
  package let values: UnsafeMutableRawPointer

  /// - Parameters:
  ///   - keys: `keyBytes(type:headDim:slots:)` bytes, zeroed or written.
  ///   - values: `valueBytes(type:headDim:slots:)` bytes.
  package init(
    type: ElementType, headDim: Int, slots: Int, keys: UnsafeMutableRawPointer, values: UnsafeMutableRawPointer
  ) {
    precondition(slots >= 0 && slots <= Int32.max && SlotStorage.supports(type: type, headDim: headDim))
    self.type = type
    self.headDim = headDim
    self.slots = slots
    self.keys = keys
    self.values = values
  }

  /// The types that slots can have; the others are for weights.
  package static let types: [ElementType] = [.float32, .float16, .bfloat16, .q8_0, .q4_1]

  /// True when a head of this size can be stored: positive, even for BF16's pairs, whole blocks for quantised types.
  package static func supports(type: ElementType, headDim: Int) -> Bool {
    types.contains(type) && headDim > 0 && headDim <= 4096 && headDim % max(type.blockSize, 2) == 0
  }

  /// Bytes of the keys of so many slots: whole panels of 16.
  package static func keyBytes(type: ElementType, headDim: Int, slots: Int) -> Int {
    (slots + 15) / 16 * keyType(type).panelBytes(columns: headDim)
  }

  /// The type of the keys of slots of a type.
  package static func keyType(_ type: ElementType) -> ElementType { type == .q4_1 ? .q8_0 : type }

  package var keyType: ElementType { Self.keyType(type) }

  package static func valueBytes(type: ElementType, headDim: Int, slots: Int) -> Int {
    slots * type.rowBytes(columns: headDim)
  }
}

/// Running partial attention of query rows: (max, sum, out), where (-inf, 0, 0) is empty.
package struct PartialRows: @unchecked Sendable {
  package let max: UnsafeMutablePointer<Float>  // [row]
  package let sum: UnsafeMutablePointer<Float>  // [row]
  package let out: UnsafeMutablePointer<Float>  // [row, headDim], `stride` floats between rows
  package let stride: Int

  package init(
    max: UnsafeMutablePointer<Float>, sum: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>, stride: Int
  ) {
    self.max = max
    self.sum = sum
    self.out = out
    self.stride = stride
  }

  /// Makes rows empty.
  package func clear(rows: Int, headDim: Int) {
    for row in 0..<rows {
      max[row] = -.infinity
      sum[row] = 0
      (out + row * stride).update(repeating: 0, count: headDim)
    }
  }
}

/// Query rows, tokens x heads of the group, token-major, rotated and scaled.
package struct QueryRows: @unchecked Sendable {
  package let queries: UnsafePointer<Float>  // [row, headDim], `stride` floats between rows
  package let stride: Int
  package let count: Int
  package let rowsPerToken: Int
  /// c where a logit x becomes c tanh(x / c); 0 for none.
  package let softCap: Float

  package init(_ queries: UnsafePointer<Float>, stride: Int, count: Int, rowsPerToken: Int, softCap: Float = 0) {
    precondition(count >= 0 && rowsPerToken > 0 && count % rowsPerToken == 0, "rows are whole tokens")
    self.queries = queries
    self.stride = stride
    self.count = count
    self.rowsPerToken = rowsPerToken
    self.softCap = softCap
  }
}

extension InstructionSet {
  /// Floats of scratch for `attend` with so many rows.
  package static func attentionScratch(rows: Int, headDim: Int) -> Int {
    sluice_attention_scratch(Int32(rows), Int32(headDim))
  }

  /// Floats in which `attend` keeps the weights of so many rows and a run of so many slots.
  package static func keptFloats(rows: Int, slots: Int) -> Int {
    sluice_attention_kept(Int32(rows), Int32(slots))
  }

  /// Attends to the slots of `run`, continuing the partial; a row that sees none of them is left as it is.
  ///
  /// - Parameters:
  ///   - logWeights: [slot], added to the logits; with a `logWeightStride` [row, slot], so many floats between rows.
  ///   - visibleFirst: [token], the first slot that a token sees; nil for all of the run. `visibleLast` is exclusive.
  ///   - scratch: `attentionScratch(rows:headDim:)` floats, not shared with other threads.
  ///   - keeping: `keptFloats(rows:slots:)` floats in which the weights are left for `addKeptColumnSums`; nil for none.
  ///   - asHalves: whether they are rounded to halves, which takes half the memory traffic.
  package func attend(
    _ storage: SlotStorage, run: Range<Int>, queries: QueryRows, partial: PartialRows,
    logWeights: UnsafePointer<Float>? = nil, logWeightStride: Int = 0, visibleFirst: UnsafePointer<Int32>? = nil,
    visibleLast: UnsafePointer<Int32>? = nil, scratch: UnsafeMutablePointer<Float>,
    keeping: UnsafeMutablePointer<Float>? = nil, asHalves: Bool = false
  ) {
    precondition(run.lowerBound >= 0 && run.upperBound <= storage.slots, "the run leaves the storage")
    precondition(queries.stride >= storage.headDim && partial.stride >= storage.headDim, "rows must not overlap")
    precondition(logWeightStride == 0 || logWeightStride >= run.upperBound, "rows must not overlap")
    var attention = sluice_attention(
      type: storage.type.kernelType, head_dim: Int32(storage.headDim), keys: storage.keys, values: storage.values,
      first_slot: Int32(run.lowerBound), last_slot: Int32(run.upperBound), soft_cap: queries.softCap,
      log_weights: logWeights,
      log_weight_stride: logWeightStride,
      rows: Int32(queries.count), rows_per_token: Int32(queries.rowsPerToken), queries: queries.queries,
      query_stride: queries.stride, out_stride: partial.stride, visible_first: visibleFirst,
      visible_last: visibleLast, max: partial.max, sum: partial.sum, out: partial.out, scratch: scratch,
      kept: keeping, keeps_halves: asHalves ? 1 : 0)
    kernels.pointee.attend(&attention)
  }

  /// Adds to `sums` the exact probabilities that the rows give each slot of the run, in a second pass over the keys.
  ///
  /// A row's probabilities are exp(logit - max) / sum with its final maximum and sum over everything it sees, this run
  /// and others; a row whose sum is 0 adds nothing.
  ///
  /// - Parameters:
  ///   - max: [row], final running maxima, as `attend` and `merge` leave them; `sum` likewise.
  ///   - rowWeights: [row], what each row counts; nil for 1.
  ///   - scratch: `attentionScratch(rows:headDim:)` floats, not shared with other threads.
  ///   - sums: [slot], of which only slots of the run are touched; with a `headStride` [head of the group, slot], each
  ///     head apart.
  package func addColumnSums(
    _ storage: SlotStorage, run: Range<Int>, queries: QueryRows, max: UnsafePointer<Float>,
    sum: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>? = nil, logWeights: UnsafePointer<Float>? = nil,
    visibleFirst: UnsafePointer<Int32>? = nil, visibleLast: UnsafePointer<Int32>? = nil,
    scratch: UnsafeMutablePointer<Float>, to sums: UnsafeMutablePointer<Float>, headStride: Int = 0
  ) {
    precondition(run.lowerBound >= 0 && run.upperBound <= storage.slots, "the run leaves the storage")
    precondition(queries.stride >= storage.headDim, "rows must not overlap")
    var attention = sluice_attention(
      type: storage.type.kernelType, head_dim: Int32(storage.headDim), keys: storage.keys, values: storage.values,
      first_slot: Int32(run.lowerBound), last_slot: Int32(run.upperBound), soft_cap: queries.softCap,
      log_weights: logWeights,
      log_weight_stride: 0,
      rows: Int32(queries.count), rows_per_token: Int32(queries.rowsPerToken), queries: queries.queries,
      query_stride: queries.stride, out_stride: 0, visible_first: visibleFirst, visible_last: visibleLast, max: nil,
      sum: nil, out: nil, scratch: scratch, kept: nil, keeps_halves: 0)
    kernels.pointee.column_sums(&attention, max, sum, rowWeights, sums, headStride)
  }

  /// Adds to `sums` what `addColumnSums` would, from the weights that `attend` has kept, without the keys.
  ///
  /// The run, the rows and what they see must be those of the `attend` call; `max` and `sum` may have grown since.
  ///
  /// - Parameters:
  ///   - kept: What `attend` has left; `areHalves` as it was told.
  ///   - max: [row], final running maxima, as `attend` and `merge` leave them; `sum` likewise.
  ///   - rowWeights: [row], what each row counts; nil for 1.
  ///   - sums: as for `addColumnSums`.
  package func addKeptColumnSums(
    _ kept: UnsafeMutablePointer<Float>, areHalves: Bool = false, run: Range<Int>, rows: Int, rowsPerToken: Int,
    max: UnsafePointer<Float>, sum: UnsafePointer<Float>, rowWeights: UnsafePointer<Float>? = nil,
    visibleFirst: UnsafePointer<Int32>? = nil,
    visibleLast: UnsafePointer<Int32>? = nil, to sums: UnsafeMutablePointer<Float>, headStride: Int = 0
  ) {
    precondition(run.lowerBound >= 0 && run.upperBound <= Int32.max, "the run leaves the storage")
    precondition(rows >= 0 && rowsPerToken > 0 && rows % rowsPerToken == 0, "rows are whole tokens")
    var attention = sluice_attention()
    (attention.first_slot, attention.last_slot) = (Int32(run.lowerBound), Int32(run.upperBound))
    (attention.rows, attention.rows_per_token) = (Int32(rows), Int32(rowsPerToken))
    (attention.visible_first, attention.visible_last) = (visibleFirst, visibleLast)
    (attention.kept, attention.keeps_halves) = (kept, areHalves ? 1 : 0)
    kernels.pointee.kept_column_sums(&attention, max, sum, rowWeights, sums, headStride)
  }

  /// Merges partial b into a; rows of both are contiguous ([row, headDim]).
  package func merge(
    rows: Int, headDim: Int, maxA: UnsafeMutablePointer<Float>, sumA: UnsafeMutablePointer<Float>,
    outA: UnsafeMutablePointer<Float>, maxB: UnsafePointer<Float>, sumB: UnsafePointer<Float>,
    outB: UnsafePointer<Float>
  ) {
    precondition(rows >= 0 && headDim > 0, "a partial has rows")
    kernels.pointee.merge(Int32(rows), Int32(headDim), maxA, sumA, outA, maxB, sumB, outB)
  }

  /// Divides contiguous rows by their sums; a sum of 0 gives zeros.
  package func finish(
    rows: Int, headDim: Int, sum: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>
  ) {
    precondition(rows >= 0 && headDim > 0, "a partial has rows")
    kernels.pointee.finish(Int32(rows), Int32(headDim), sum, out)
  }

  package func writeKey(_ key: UnsafePointer<Float>, to slot: Int, of storage: SlotStorage) {
    precondition(slot >= 0 && slot < storage.slots, "slot out of range")
    kernels.pointee.write_key(storage.type.kernelType, Int32(storage.headDim), key, storage.keys, Int32(slot))
  }

  package func writeValue(_ value: UnsafePointer<Float>, to slot: Int, of storage: SlotStorage) {
    precondition(slot >= 0 && slot < storage.slots, "slot out of range")
    kernels.pointee.write_value(storage.type.kernelType, Int32(storage.headDim), value, storage.values, Int32(slot))
  }

  package func readKey(_ slot: Int, of storage: SlotStorage, to out: UnsafeMutablePointer<Float>) {
    precondition(slot >= 0 && slot < storage.slots, "slot out of range")
    kernels.pointee.read_key(storage.type.kernelType, Int32(storage.headDim), storage.keys, Int32(slot), out)
  }

  package func readValue(_ slot: Int, of storage: SlotStorage, to out: UnsafeMutablePointer<Float>) {
    precondition(slot >= 0 && slot < storage.slots, "slot out of range")
    kernels.pointee.read_value(storage.type.kernelType, Int32(storage.headDim), storage.values, Int32(slot), out)
  }
}
