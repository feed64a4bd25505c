import Kernels

/// Clusters of all heads, kept by Ward's cost: attention meets centroids, each with the logarithm of its count on its logits.
final class WardSummary: StageSummary {
  let capacity: Int
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

  init(capacity: Int, shape: KVCache.Shape, slotType: KVCache.SlotType) {
    self.capacity = capacity
    storage = StageStorage(type: slotType.elementType, shape: shape, capacity: capacity)
    block = storage.block(0)
    let heads = shape.layers * shape.keyValueHeads
    counts = Buffer(count: heads * storage.slotsPerBlock)
    logCounts = Buffer(count: heads * storage.slotsPerBlock)
    costs = Buffer(count: heads * storage.slotsPerBlock)
    nearest = Buffer(count: heads * storage.slotsPerBlock)
    used = Buffer(count: heads)
    super.init(shape: shape)
  }

  static func bytes(capacity: Int, shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int {
    StageStorage.blockBytes(type: slotType.elementType, shape: shape, capacity: capacity)
      + shape.layers * shape.keyValueHeads * (16 * StageStorage.slotsPerBlock(capacity: capacity) + 4)
  }

  override var bytes: Int { storage.bytes + 16 * counts.count + 4 * used.count }
  override var fullAfter: Int { capacity }

  override func scratchFloats(rows: Int) -> Int {
    WardClusters.scratchFloats(capacity: capacity, headDim: shape.headDim)
  }

  /// The clusters of one head.
  func clusters(_ head: Int) -> WardClusters {
    let offset = head * block.slots
    return WardClusters(
      capacity: capacity, slots: block.slots(head: head, type: storage.type, headDim: shape.headDim),
      counts: counts.pointer + offset, logCounts: logCounts.pointer + offset, costs: costs.pointer + offset,
      nearest: nearest.pointer + offset, usedCount: used.pointer + head)
  }

  override func reset() {
    storage.clear()
    used.elements.update(repeating: 0)
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
    kernels.attend(
      clusters.slots, run: run, queries: queries, partial: partial, logWeights: clusters.logCounts,
      scratch: kernelScratch)
  }

  override func write(to writer: inout SnapshotWriter) {
    for head in 0..<shape.layers * shape.keyValueHeads {
      let clusters = clusters(head)
      writer.write(Int64(clusters.used))
      storage.write(clusters.used, head: head, to: &writer)
      writer.write(clusters.counts, count: clusters.used)
      writer.write(clusters.costs, count: clusters.used)
      writer.write(clusters.nearest, count: clusters.used)
    }
  }

  override func read(from reader: inout SnapshotReader) throws(KVCacheError) {
    for head in 0..<shape.layers * shape.keyValueHeads {
      let clusters = clusters(head)
      let count = try reader.readCount(limit: capacity)
      clusters.usedCount.pointee = Int32(count)
      try storage.read(count, head: head, from: &reader)
      try reader.read(into: clusters.counts, count: count)
      try reader.read(into: clusters.costs, count: count)
      try reader.read(into: clusters.nearest, count: count)
      try clusters.validate()
    }
  }
}
