import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Samples of all heads in which tokens count ever less with age: attention meets tokens with what they stand for as
/// logarithms on the logits. Every head draws by itself.
final class FadingSampleSummary: StageSummary {
  let capacity: Int
  let seed: UInt64
  private let growth: Float
  private let storage: StageStorage
  private let block: StageStorage.Block
  /// `[layer, KV head, slot]`
  private let weights: Buffer<Float>
  /// `[layer, KV head, slot]`
  private let logWeights: Buffer<Float>
  /// `[layer, KV head]`
  private let used: Buffer<Int32>
  /// What a token that comes now weighs, `[layer, KV head]`.
  private let units: Buffer<Float>
  /// The states of random sources, `[layer, KV head]`.
  private let randoms: Buffer<UInt64>

  /// - Parameter halfLife: tokens after which one counts half as much as a new one.
  init(capacity: Int, halfLife: Int, seed: UInt64, shape: KVCache.Shape, slotType: KVCache.SlotType) {
    self.capacity = capacity
    self.seed = seed
    growth = Float(exp2(1 / Double(halfLife)))
    storage = StageStorage(type: slotType.elementType, shape: shape, capacity: capacity)
    block = storage.block(0)
    let heads = shape.layers * shape.keyValueHeads
    weights = Buffer(count: heads * storage.slotsPerBlock)
    logWeights = Buffer(count: heads * storage.slotsPerBlock)
    used = Buffer(count: heads)
    units = Buffer(count: heads)
    randoms = Buffer(count: heads)
    super.init(shape: shape)
    resetHeads()
  }

  static func bytes(capacity: Int, shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int {
    StageStorage.blockBytes(type: slotType.elementType, shape: shape, capacity: capacity)
      + shape.layers * shape.keyValueHeads * (8 * StageStorage.slotsPerBlock(capacity: capacity) + 16)
  }

  override var bytes: Int { storage.bytes + 8 * weights.count + 16 * used.count }
  override var fullAfter: Int { capacity }

  /// The sample of one head.
  func sample(_ head: Int) -> FadingSample {
    let offset = head * block.slots
    return FadingSample(
      capacity: capacity, slots: block.slots(head: head, type: storage.type, headDim: shape.headDim),
      weights: weights.pointer + offset, logWeights: logWeights.pointer + offset, usedCount: used.pointer + head,
      unit: units.pointer + head, growth: growth)
  }

  private func resetHeads() {
    used.elements.update(repeating: 0)
    units.elements.update(repeating: 1)
    for head in 0..<used.count { randoms.pointer[head] = SeededRandom(seed: seed, head: head).state }
  }

  override func reset() {
    storage.clear()
    resetHeads()
  }

  override func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    guard squaredLength(key, shape.headDim).isFinite, squaredLength(value, shape.headDim).isFinite else { return }
    var random = SeededRandom(state: randoms.pointer[head])
    sample(head).add(key: key, value: value, using: &random, kernels)
    randoms.pointer[head] = random.state
  }

  override func attend(
    _ queries: QueryRows, head: Int, share: (index: Int, count: Int), partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let sample = sample(head)
    let run = sharedRun(of: sample.used, share: share)
    guard !run.isEmpty else { return }
    // What all weights are divided by: not taken off the logits, but added to what they are compared with.
    let logUnit = logf(sample.unit.pointee)
    for row in 0..<queries.count { partial.max[row] += logUnit }
    kernels.attend(
      sample.slots, run: run, queries: queries, partial: partial, logWeights: sample.logWeights, scratch: kernelScratch)
    for row in 0..<queries.count { partial.max[row] -= logUnit }
  }

  override func write(to writer: inout SnapshotWriter) {
    for head in 0..<used.count {
      let sample = sample(head)
      writer.write(Int64(sample.used))
      writer.write(sample.unit.pointee.bitPattern)
      writer.write(randoms.pointer[head])
      storage.write(sample.used, head: head, to: &writer)
      writer.write(sample.weights, count: sample.used)
    }
  }

  override func read(from reader: inout SnapshotReader) throws(KVCacheError) {
    for head in 0..<used.count {
      let sample = sample(head)
      let count = try reader.readCount(limit: capacity)
      sample.usedCount.pointee = Int32(count)
      sample.unit.pointee = Float(bitPattern: try reader.read())
      randoms.pointer[head] = try reader.read()
      try storage.read(count, head: head, from: &reader)
      try reader.read(into: sample.weights, count: count)
      try sample.validate()
    }
  }
}
