import CLibrary
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
  /// What a token that comes now counts, `[layer, KV head]`.
  private let units: Buffer<Float>
  private let growth: Float

  init(capacity: Int, halfLife: Int?, isClipped: Bool, _ site: StateSite) {
    self.capacity = capacity
    growth = halfLife.map { Float(exp2(1 / Double($0))) } ?? 1
    storage = StageStorage(site, capacity: capacity)
    block = storage.block(0)
    let (heads, slots) = (site.count, block.slots)
    counts = Buffer(count: heads * slots)
    logCounts = Buffer(count: heads * slots)
    costs = Buffer(count: heads * slots)
    nearest = Buffer(count: heads * slots)
    used = Buffer(count: heads)
    units = Buffer(count: heads)
    units.elements.update(repeating: 1)
    super.init(site, isClipped: isClipped)
  }

  static func bytes(capacity: Int, _ site: StateSite) -> Int {
    StageStorage.bytes(site, capacity: capacity) + site.count * (16 * StageStorage.slots(capacity: capacity) + 8)
  }

  override var bytes: Int { storage.bytes + 16 * counts.count + 8 * used.count }
  override var fullAfter: Int { capacity }

  override func scratchFloats(rows: Int) -> Int {
    WardClusters.scratchFloats(capacity: capacity, headDim: headDim)
  }

  /// The clusters of one head.
  func clusters(_ head: Int) -> WardClusters {
    let offset = head * block.slots
    return WardClusters(
      capacity: capacity, slots: block.slots(head: head, type: storage.type, headDim: headDim),
      counts: counts.pointer + offset, logCounts: logCounts.pointer + offset, costs: costs.pointer + offset,
      nearest: nearest.pointer + offset, usedCount: used.pointer + head,
      unit: units.pointer + head, growth: growth)
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
    _ queries: QueryRows, head: Int, share: WorkShare, partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let clusters = clusters(head)
    let run = sharedRun(of: clusters.used, share: share)
    guard !run.isEmpty else { return }
    // What all counts are divided by: not taken off the logits, but added to what they are compared with.
    let logUnit = logf(clusters.unit.pointee)
    if logUnit > 0 { for row in 0..<queries.count { partial.max[row] += logUnit } }
    kernels.attend(
      clusters.slots, run: run, queries: queries, partial: partial, logWeights: UnsafePointer(clusters.logCounts),
      scratch: kernelScratch)
    if logUnit > 0 { for row in 0..<queries.count { partial.max[row] -= logUnit } }
  }

  override func write(head: Int, to writer: inout SectionWriter) {
    let clusters = clusters(head)
    writer.write(Int64(clusters.used))
    writer.write(clusters.unit.pointee.bitPattern)
    storage.write(clusters.used, head: head, to: &writer)
    writer.write(clusters.counts, count: clusters.used)
    writer.write(clusters.costs, count: clusters.used)
    writer.write(clusters.nearest, count: clusters.used)
  }

  override func read(head: Int, from reader: inout SectionReader) throws(KVCacheError) {
    let clusters = clusters(head)
    let count = try reader.readCount(limit: capacity)
    clusters.usedCount.pointee = Int32(count)
    clusters.unit.pointee = Float(bitPattern: try reader.read())
    try storage.read(count, head: head, from: &reader)
    try reader.read(into: clusters.counts, count: count)
    try reader.read(into: clusters.costs, count: count)
    try reader.read(into: clusters.nearest, count: count)
    try clusters.validate()
  }
}
