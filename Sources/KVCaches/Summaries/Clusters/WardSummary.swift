import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Clusters of all heads, kept by Ward's cost: attention meets centroids, each with the logarithm of its count on its logits.
///
/// Where variances are kept, logits gain what the spread of a cluster's keys adds as well, to second order.
final class WardSummary: StageSummary {
  let capacity: Int
  /// Whether counts enter logits.
  private let isWeighted: Bool
  private let storage: StageStorage
  private let block: StageStorage.Block
  /// `[layer, KV head, slot]`
  private let counts: Buffer<Float>
  /// `[layer, KV head, slot]`
  private let logCounts: Buffer<Float>
  /// `[layer, KV head, slot]`
  private let costs: Buffer<Float>
  /// `[layer, KV head, slot]`
  private let nearest: Buffer<Int32>
  /// `[layer, KV head]`
  private let used: Buffer<Int32>
  /// What a token that comes now counts, `[layer, KV head]`.
  private let units: Buffer<Float>
  private let growth: Float
  /// Variances of keys as panels of the storage's type, `[layer, KV head][panel, headDim, slot of 16]`; empty where they are
  /// not kept.
  private let variances: Buffer<UInt8>
  private let varianceBytes: Int

  init(capacity: Int, _ centroids: Clusters.Centroids, shape: KVCache.Shape, slotType: KVCache.SlotType) {
    self.capacity = capacity
    isWeighted = capacity >= centroids.plainBelow
    growth = centroids.halfLife.map { Float(exp2(1 / Double($0))) } ?? 1
    storage = StageStorage(type: slotType.elementType, shape: shape, capacity: capacity)
    block = storage.block(0)
    let heads = shape.layers * shape.keyValueHeads
    counts = Buffer(count: heads * storage.slotsPerBlock)
    logCounts = Buffer(count: heads * storage.slotsPerBlock)
    costs = Buffer(count: heads * storage.slotsPerBlock)
    nearest = Buffer(count: heads * storage.slotsPerBlock)
    used = Buffer(count: heads)
    units = Buffer(count: heads)
    varianceBytes = Self.varianceBytes(capacity: capacity, centroids, headDim: shape.headDim, slotType: slotType)
    variances = Buffer(count: heads * varianceBytes)
    units.elements.update(repeating: 1)
    super.init(shape: shape)
  }

  /// Bytes of one head's variances.
  private static func varianceBytes(
    capacity: Int, _ centroids: Clusters.Centroids, headDim: Int, slotType: KVCache.SlotType
  ) -> Int {
    guard centroids.hasVariances else { return 0 }
    return SlotStorage.keyBytes(
      type: slotType.elementType, headDim: headDim, slots: StageStorage.slotsPerBlock(capacity: capacity))
  }

  static func bytes(
    capacity: Int, _ centroids: Clusters.Centroids, shape: KVCache.Shape, slotType: KVCache.SlotType
  ) -> Int {
    let numbers = 16 * StageStorage.slotsPerBlock(capacity: capacity) + 8
    let variances = varianceBytes(capacity: capacity, centroids, headDim: shape.headDim, slotType: slotType)
    return StageStorage.blockBytes(type: slotType.elementType, shape: shape, capacity: capacity)
      + shape.layers * shape.keyValueHeads * (numbers + variances)
  }

  override var bytes: Int { storage.bytes + 16 * counts.count + 8 * used.count + variances.count }
  override var fullAfter: Int { capacity }

  override func scratchFloats(rows: Int) -> Int {
    let melting = WardClusters.scratchFloats(capacity: capacity, headDim: shape.headDim)
    return varianceBytes > 0 ? max(melting, spreadScratchFloats(rows: rows, slots: block.slots)) : melting
  }

  /// The clusters of one head.
  func clusters(_ head: Int) -> WardClusters {
    let offset = head * block.slots
    return WardClusters(
      capacity: capacity, slots: block.slots(head: head, type: storage.type, headDim: shape.headDim),
      counts: counts.pointer + offset, logCounts: logCounts.pointer + offset, costs: costs.pointer + offset,
      nearest: nearest.pointer + offset, usedCount: used.pointer + head,
      unit: units.pointer + head, growth: growth, variances: variances(head))
  }

  private func variances(_ head: Int) -> SlotStorage? {
    guard varianceBytes > 0 else { return nil }
    let start = UnsafeMutableRawPointer(variances.pointer + head * varianceBytes)
    return SlotStorage(
      type: storage.type, headDim: shape.headDim, slots: block.slots, keys: start, values: start)
  }

  /// The bytes of a head's variances of the clusters in use, rounded up to whole panels.
  private func usedVariances(_ clusters: WardClusters) -> UnsafeMutableRawBufferPointer {
    guard let variances = clusters.variances else { return UnsafeMutableRawBufferPointer(start: nil, count: 0) }
    let count = SlotStorage.keyBytes(type: storage.type, headDim: shape.headDim, slots: clusters.used)
    return UnsafeMutableRawBufferPointer(start: variances.keys, count: count)
  }

  override func reset() {
    storage.clear()
    used.elements.update(repeating: 0)
    units.elements.update(repeating: 1)
  }

  override func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    clusters(head).add(key: key, value: value, scratch: scratch, kernels)
  }

  override func attend(
    _ queries: QueryRows, head: Int, share: (index: Int, count: Int), partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let clusters = clusters(head)
    let run = sharedRun(of: clusters.used, share: share)
    guard !run.isEmpty else { return }
    // What all counts are divided by: not taken off the logits, but added to what they are compared with.
    let logUnit = isWeighted ? logf(clusters.unit.pointee) : 0
    let logCounts = isWeighted ? UnsafePointer(clusters.logCounts) : nil
    if logUnit > 0 { for row in 0..<queries.count { partial.max[row] += logUnit } }
    if let variances = clusters.variances {
      attend(
        to: clusters.slots, spread: variances, run: run, queries, partial: partial, logCounts: logCounts,
        kernelScratch: kernelScratch, scratch: scratch, kernels)
    } else {
      kernels.attend(
        clusters.slots, run: run, queries: queries, partial: partial, logWeights: logCounts, scratch: kernelScratch)
    }
    if logUnit > 0 { for row in 0..<queries.count { partial.max[row] -= logUnit } }
  }

  override func write(to writer: inout SnapshotWriter) {
    for head in 0..<shape.layers * shape.keyValueHeads {
      let clusters = clusters(head)
      writer.write(Int64(clusters.used))
      writer.write(clusters.unit.pointee.bitPattern)
      storage.write(clusters.used, head: head, to: &writer)
      writer.write(clusters.counts, count: clusters.used)
      writer.write(clusters.costs, count: clusters.used)
      writer.write(clusters.nearest, count: clusters.used)
      writer.write(UnsafeRawBufferPointer(usedVariances(clusters)))
    }
  }

  override func read(from reader: inout SnapshotReader) throws(KVCacheError) {
    for head in 0..<shape.layers * shape.keyValueHeads {
      let clusters = clusters(head)
      let count = try reader.readCount(limit: capacity)
      clusters.usedCount.pointee = Int32(count)
      clusters.unit.pointee = Float(bitPattern: try reader.read())
      try storage.read(count, head: head, from: &reader)
      try reader.read(into: clusters.counts, count: count)
      try reader.read(into: clusters.costs, count: count)
      try reader.read(into: clusters.nearest, count: count)
      let spread = usedVariances(clusters)
      spread.copyMemory(from: try reader.take(spread.count))
      try clusters.validate()
    }
  }
}
