import CLibrary
import Kernels

/// Clusters of all heads, kept by Ward's cost: attention meets centroids, each with the logarithm of its count on its logits.
final class WardSummary: StageSummary {
  let capacity: Int
  private let storage: StageStorage
  private let block: StageStorage.Block
  /// `[layer, KV head, slot]`
  private let counts: Buffer<Double>
  /// `[layer, KV head, slot]`
  private let weights: Buffer<Float>
  /// `[layer, KV head, slot]`
  private let logCounts: Buffer<Float>
  /// `[layer, KV head, slot]`
  private let costs: Buffer<Float>
  /// `[layer, KV head, slot]`
  private let nearest: Buffer<Int32>
  /// `[layer, KV head]`
  private let used: Buffer<Int32>
  /// What a token that comes now counts, `[layer, KV head]`.
  private let units: Buffer<Double>
  let growth: Double
  /// See `NarrowMeans`; empty where nothing is kept beside slots, `[layer, KV head, slot, key | value, headDim]`
  private let rests: Buffer<Int8>
  /// `[layer, KV head, slot, key | value]`
  private let restSteps: Buffer<Float>
  /// The states of random sources, `[layer, KV head]`; empty where slots are float32.
  private let randoms: Buffer<UInt64>

  init(capacity: Int, halfLife: Int?, isClipped: Bool, _ site: StateSite) {
    self.capacity = capacity
    growth = halfLife.map { exp2(1 / Double($0)) } ?? 1
    storage = StageStorage(site, capacity: capacity)
    block = storage.block(0)
    let (heads, slots) = (site.count, block.slots)
    counts = Buffer(count: heads * slots)
    weights = Buffer(count: heads * slots)
    logCounts = Buffer(count: heads * slots)
    costs = Buffer(count: heads * slots)
    nearest = Buffer(count: heads * slots)
    used = Buffer(count: heads)
    units = Buffer(count: heads)
    let rows = NarrowMeans.keepsRests(site.slotType, forgets: halfLife != nil) ? heads * slots * 2 : 0
    rests = Buffer(count: rows * site.headDim)
    restSteps = Buffer(count: rows)
    randoms = Buffer(count: site.slotType == .float32 ? 0 : heads)
    super.init(site, isClipped: isClipped)
    resetHeads()
  }

  static func bytes(capacity: Int, halfLife: Int?, _ site: StateSite) -> Int {
    let slots = StageStorage.slots(capacity: capacity)
    var own = 24 * slots + 12
    if site.slotType != .float32 { own += 8 }
    if NarrowMeans.keepsRests(site.slotType, forgets: halfLife != nil) {
      own += NarrowMeans.restBytes(slots: slots, headDim: site.headDim)
    }
    return StageStorage.bytes(site, capacity: capacity) + site.count * own
  }

  override var bytes: Int {
    storage.bytes + 24 * counts.count + 12 * used.count + rests.count + 4 * restSteps.count + 8 * randoms.count
  }

  override var fullAfter: Int { capacity }

  override func scratchFloats(rows: Int) -> Int {
    WardClusters.scratchFloats(capacity: capacity, headDim: headDim)
  }

  /// The clusters of one head.
  func clusters(_ head: Int) -> WardClusters {
    let offset = head * block.slots
    return WardClusters(
      capacity: capacity, slots: block.slots(head: head, type: storage.type, headDim: headDim),
      narrowMeans: narrowMeans(head), counts: counts.pointer + offset, weights: weights.pointer + offset,
      logCounts: logCounts.pointer + offset, costs: costs.pointer + offset,
      nearest: nearest.pointer + offset, usedCount: used.pointer + head,
      unit: units.pointer + head, growth: growth)
  }

  private func narrowMeans(_ head: Int) -> NarrowMeans? {
    guard randoms.count > 0 else { return nil }
    let row = head * block.slots * 2
    let kept = NarrowMeans.Rests(numbers: rests.pointer + row * headDim, steps: restSteps.pointer + row)
    return NarrowMeans(
      headDim: headDim, random: randoms.pointer + head, rests: rests.count > 0 ? kept : nil)
  }

  private func resetHeads() {
    used.elements.update(repeating: 0)
    units.elements.update(repeating: 1)
    for head in 0..<randoms.count {
      randoms.pointer[head] = SeededRandom(seed: 0, head: site.heads.modelHeads[head]).state
    }
  }

  override func reset() {
    storage.clear()
    resetHeads()
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
    let logUnit = logf(Float(clusters.unit.pointee))
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
    guard let narrowMeans = clusters.narrowMeans else { return }
    writer.write(narrowMeans.random.pointee)
    guard let rests = narrowMeans.rests else { return }
    writer.write(rests.numbers, count: clusters.used * 2 * headDim)
    writer.write(rests.steps, count: clusters.used * 2)
  }

  override func read(head: Int, from reader: inout SectionReader) throws(KVCacheError) {
    let clusters = clusters(head)
    let count = try reader.readCount(limit: capacity)
    clusters.usedCount.pointee = Int32(count)
    clusters.unit.pointee = Double(bitPattern: try reader.read())
    try storage.read(count, head: head, from: &reader)
    try reader.read(into: clusters.counts, count: count)
    try reader.read(into: clusters.costs, count: count)
    try reader.read(into: clusters.nearest, count: count)
    if let narrowMeans = clusters.narrowMeans {
      narrowMeans.random.pointee = try reader.read()
      if let rests = narrowMeans.rests {
        try reader.read(into: rests.numbers, count: count * 2 * headDim)
        try reader.read(into: rests.steps, count: count * 2)
      }
    }
    try clusters.validate()
  }
}
