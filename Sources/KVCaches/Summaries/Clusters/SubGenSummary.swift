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

  init(_ sizes: SubGenSizes, shape: KVCache.Shape, slotType: KVCache.SlotType) {
    self.sizes = sizes
    let type = slotType.elementType
    storage = StageStorage(type: type, shape: shape, capacity: sizes.valueSamples)
    block = storage.block(0)
    let count = shape.layers * shape.keyValueHeads
    let clusterSamples = sizes.clusters * sizes.samplesPerCluster
    representativeBytes = SlotStorage.keyBytes(type: type, headDim: shape.headDim, slots: sizes.clusters)
    keyBytes =
      representativeBytes + SlotStorage.keyBytes(type: type, headDim: shape.headDim, slots: clusterSamples)
    keys = Buffer(count: count * keyBytes)
    clusterWeights = Buffer(count: count * clusterSamples)
    counts = Buffer(count: count * sizes.clusters)
    valueWeights = Buffer(count: count * sizes.valueSamples)
    masses = Buffer(count: count)
    deltas = Buffer(count: count)
    randoms = Buffer(count: count)
    used = Buffer(count: count)
    super.init(shape: shape)
    resetHeads()
  }

  static func bytes(_ sizes: SubGenSizes, shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int {
    let (type, clusterSamples) = (slotType.elementType, sizes.clusters * sizes.samplesPerCluster)
    let keyBytes = [sizes.clusters, clusterSamples].reduce(0) {
      $0 + SlotStorage.keyBytes(type: type, headDim: shape.headDim, slots: $1)
    }
    let numbers = 8 * sizes.clusters + 4 * clusterSamples + 4 * sizes.valueSamples + 28
    return StageStorage.blockBytes(type: type, shape: shape, capacity: sizes.valueSamples)
      + shape.layers * shape.keyValueHeads * (keyBytes + numbers)
  }

  override var bytes: Int {
    storage.bytes + keys.count + 4 * (clusterWeights.count + valueWeights.count) + 8 * counts.count
      + 28 * used.count
  }

  override var fullAfter: Int { sizes.clusters + sizes.valueSamples }

  override func scratchFloats(rows: Int) -> Int {
    max(
      NormalizerClusters.scratchFloats(limit: sizes.clusters, headDim: shape.headDim),
      rows * (shape.headDim + 2) + sizes.clusters * sizes.samplesPerCluster)
  }

  /// The samples for one head's numerator.
  func valueSamples(_ head: Int) -> ValueSamples {
    let slots = block.slots(head: head, type: storage.type, headDim: shape.headDim)
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
    SlotStorage(type: storage.type, headDim: shape.headDim, slots: slots, keys: keys, values: keys)
  }

  private func resetHeads() {
    masses.elements.update(repeating: 0)
    deltas.elements.update(repeating: sizes.delta ?? 0)
    used.elements.update(repeating: 0)
    for head in 0..<randoms.count { randoms.pointer[head] = SeededRandom(seed: sizes.seed, head: head).state }
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
    guard squaredLength(key, shape.headDim).isFinite, squaredLength(value, shape.headDim).isFinite else { return }
    var random = SeededRandom(state: randoms.pointer[head])
    normalizerClusters(head).add(key: key, scratch: scratch, using: &random, kernels)
    valueSamples(head).add(key: key, value: value, using: &random, kernels)
    randoms.pointer[head] = random.state
  }

  override func attend(
    _ queries: QueryRows, head: Int, share: (index: Int, count: Int), partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    addEstimates(
      queries, head: head, share: share, partial: partial, kernelScratch: kernelScratch, scratch: scratch, kernels)
  }

  /// Whole buffers: how many clusters there are depends on the keys, the size of a snapshot should not.
  override func write(to writer: inout SnapshotWriter) {
    writer.write(masses.pointer, count: masses.count)
    writer.write(deltas.pointer, count: deltas.count)
    writer.write(randoms.pointer, count: randoms.count)
    writer.write(used.pointer, count: used.count)
    writer.write(counts.pointer, count: counts.count)
    writer.write(keys.pointer, count: keys.count)
    writer.write(valueWeights.pointer, count: valueWeights.count)
    writer.write(block.base, count: storage.bytes)
  }

  override func read(from reader: inout SnapshotReader) throws(KVCacheError) {
    try reader.read(into: masses.pointer, count: masses.count)
    try reader.read(into: deltas.pointer, count: deltas.count)
    try reader.read(into: randoms.pointer, count: randoms.count)
    try reader.read(into: used.pointer, count: used.count)
    try reader.read(into: counts.pointer, count: counts.count)
    try reader.read(into: keys.pointer, count: keys.count)
    try reader.read(into: valueWeights.pointer, count: valueWeights.count)
    try reader.read(into: block.base, count: storage.bytes)
    for head in 0..<used.count {
      try normalizerClusters(head).validate()
      try valueSamples(head).validate()
    }
  }
}
