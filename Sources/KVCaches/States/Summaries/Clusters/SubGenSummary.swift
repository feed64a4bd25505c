import CLibrary
import Kernels

/// The sizes and the seed of SubGen's samples.
struct SubGenSizes: Sendable {
  /// m, the most clusters of keys.
  var clusters: Int
  /// t, samples of a cluster.
  var samplesPerCluster: Int
  /// s, samples of tokens by the length of their values.
  var valueSamples: Int
  /// δ, or nil where it is to grow from 0 as room is needed.
  var delta: Double?
  var seed: UInt64
}

/// SubGen as published: the numerator of attention from one set of samples, the denominator from another.
///
/// The two are added to a partial apart, so what stages in front keep exactly stays exact. Memory is in units of keys and
/// values of the cache's slot type: m (t + 1) keys and s keys with values. Estimators are unbiased for what is stored.
///
/// Source: Zandieh, Han, Mirrokni, Karbasi, "SubGen: Token Generation in Sublinear Time and Memory", arXiv 2402.06082,
/// Algorithm 1.
final class SubGenSummary: StageSummary {
  let sizes: SubGenSizes
  private let storage: StageStorage
  private let block: StageStorage.Block
  /// Keys alone, `[layer, KV head](representatives [cluster] | samples [cluster, sample])`, both in whole panels.
  private let keys: Buffer<UInt8>
  private let representativeBytes: Int
  private let keyBytes: Int
  /// `[layer, KV head, cluster, sample]`
  private let clusterWeights: Buffer<Float>
  /// `[layer, KV head, cluster]`
  private let counts: Buffer<Double>
  /// `[layer, KV head, slot]`
  private let valueWeights: Buffer<Float>
  /// μ, `[layer, KV head]`
  private let masses: Buffer<Double>
  /// δ, `[layer, KV head]`
  private let deltas: Buffer<Double>
  /// The states of random sources, `[layer, KV head]`.
  private let randoms: Buffer<UInt64>
  /// Clusters in use, `[layer, KV head]`.
  private let used: Buffer<Int32>

  init(_ sizes: SubGenSizes, isClipped: Bool, _ site: StateSite) {
    self.sizes = sizes
    let (type, headDim) = (site.slotType.elementType, site.headDim)
    storage = StageStorage(site, capacity: sizes.valueSamples)
    block = storage.block(0)
    let count = site.count
    let clusterSamples = sizes.clusters * sizes.samplesPerCluster
    representativeBytes = SlotStorage.keyBytes(type: type, headDim: headDim, slots: sizes.clusters)
    keyBytes =
      representativeBytes + SlotStorage.keyBytes(type: type, headDim: headDim, slots: clusterSamples)
    keys = Buffer(count: count * keyBytes)
    clusterWeights = Buffer(count: count * clusterSamples)
    counts = Buffer(count: count * sizes.clusters)
    valueWeights = Buffer(count: count * sizes.valueSamples)
    masses = Buffer(count: count)
    deltas = Buffer(count: count)
    randoms = Buffer(count: count)
    used = Buffer(count: count)
    super.init(site, isClipped: isClipped)
    resetHeads()
  }

  static func bytes(_ sizes: SubGenSizes, _ site: StateSite) -> Int {
    let (type, clusterSamples) = (site.slotType.elementType, sizes.clusters * sizes.samplesPerCluster)
    let keyBytes = [sizes.clusters, clusterSamples].reduce(0) {
      $0 + SlotStorage.keyBytes(type: type, headDim: site.headDim, slots: $1)
    }
    let numbers = 8 * sizes.clusters + 4 * clusterSamples + 4 * sizes.valueSamples + 28
    return StageStorage.bytes(site, capacity: sizes.valueSamples) + site.count * (keyBytes + numbers)
  }

  override var bytes: Int {
    storage.bytes + keys.count + 4 * (clusterWeights.count + valueWeights.count) + 8 * counts.count
      + 28 * used.count
  }

  override var fullAfter: Int { sizes.clusters + sizes.valueSamples }

  override func scratchFloats(rows: Int) -> Int {
    max(
      NormalizerClusters.scratchFloats(limit: sizes.clusters, headDim: headDim),
      rows * (headDim + 2) + sizes.clusters * sizes.samplesPerCluster)
  }

  /// The samples for one head's numerator.
  func valueSamples(_ head: Int) -> ValueSamples {
    let slots = block.slots(head: head, type: storage.type, headDim: headDim)
    return ValueSamples(
      slots: SlotStorage(
        type: slots.type, headDim: slots.headDim, slots: sizes.valueSamples, keys: slots.keys, values: slots.values),
      logWeights: valueWeights.pointer + head * sizes.valueSamples, mass: masses.pointer + head)
  }

  /// The clusters for one head's denominator.
  func normalizerClusters(_ head: Int) -> NormalizerClusters {
    let clusterSamples = sizes.clusters * sizes.samplesPerCluster
    let base = UnsafeMutableRawPointer(keys.pointer + head * keyBytes)
    return NormalizerClusters(
      limit: sizes.clusters, samplesPerCluster: sizes.samplesPerCluster, growsDelta: sizes.delta == nil,
      representatives: keysAlone(base, slots: sizes.clusters),
      samples: keysAlone(base + representativeBytes, slots: clusterSamples),
      counts: counts.pointer + head * sizes.clusters, logWeights: clusterWeights.pointer + head * clusterSamples,
      delta: deltas.pointer + head, usedCount: used.pointer + head)
  }

  /// Slots whose values are never touched.
  private func keysAlone(_ keys: UnsafeMutableRawPointer, slots: Int) -> SlotStorage {
    SlotStorage(type: storage.type, headDim: headDim, slots: slots, keys: keys, values: keys)
  }

  private func resetHeads() {
    masses.elements.update(repeating: 0)
    deltas.elements.update(repeating: sizes.delta ?? 0)
    used.elements.update(repeating: 0)
    for head in 0..<randoms.count {
      randoms.pointer[head] = SeededRandom(seed: sizes.seed, head: site.heads.modelHeads[head]).state
    }
  }

  override func reset() {
    storage.clear()
    keys.elements.update(repeating: 0)
    counts.elements.update(repeating: 0)
    valueWeights.elements.update(repeating: 0)
    resetHeads()
  }

  override func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    guard squaredLength(key, headDim).isFinite, squaredLength(value, headDim).isFinite else { return }
    var random = SeededRandom(state: randoms.pointer[head])
    normalizerClusters(head).add(key: key, scratch: scratch, using: &random, kernels)
    valueSamples(head).add(key: key, value: value, using: &random, kernels)
    randoms.pointer[head] = random.state
  }

  override func attend(
    _ queries: QueryRows, head: Int, share: WorkShare, partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    addEstimates(
      queries, head: head, share: share, partial: partial, kernelScratch: kernelScratch, scratch: scratch, kernels)
  }

  /// Whole buffers: how many clusters there are depends on the keys, the size of a snapshot should not.
  override func write(head: Int, to writer: inout SectionWriter) {
    forEachPart(of: head) { writer.write(UnsafeRawBufferPointer($0)) }
  }

  override func read(head: Int, from reader: inout SectionReader) throws(KVCacheError) {
    var parts: [UnsafeMutableRawBufferPointer] = []
    forEachPart(of: head) { parts.append($0) }
    for part in parts { try reader.read(into: part) }
    try normalizerClusters(head).validate()
    try valueSamples(head).validate()
  }

  /// Calls `body` with all memory of a head.
  private func forEachPart(of head: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
    func part<Number: BitwiseCopyable>(_ buffer: Buffer<Number>, _ count: Int = 1) {
      body(
        UnsafeMutableRawBufferPointer(UnsafeMutableBufferPointer(start: buffer.pointer + head * count, count: count)))
    }
    part(masses)
    part(deltas)
    part(randoms)
    part(used)
    part(counts, sizes.clusters)
    part(keys, keyBytes)
    part(valueWeights, sizes.valueSamples)
    storage.forEachUsedRange(block.slots, head: head, block: 0, body)
  }
}
