import Kernels

/// Tokens of all heads, halved so that those kept balance those dropped: attention meets them with their weights as
/// logarithms on the logits.
final class BalancedSummary: StageSummary {
  let capacity: Int
  let seed: UInt64
  /// Tokens after which all counts halve; nil for never.
  private let halfLife: Int?
  private let storage: StageStorage
  private let block: StageStorage.Block
  /// `[layer, KV head, slot]`
  private let levels: Buffer<Int32>
  /// `[layer, KV head, slot]`
  private let logWeights: Buffer<Float>
  /// `[layer, KV head]`
  private let used: Buffer<Int32>
  /// The states of random sources, `[layer, KV head]`.
  private let randoms: Buffer<UInt64>
  /// Tokens since counts were halved, `[layer, KV head]`; empty where they never are.
  private let ages: Buffer<Int64>

  init(capacity: Int, halfLife: Int? = nil, seed: UInt64, shape: KVCache.Shape, slotType: KVCache.SlotType) {
    self.capacity = capacity
    self.halfLife = halfLife
    self.seed = seed
    storage = StageStorage(type: slotType.elementType, shape: shape, capacity: capacity)
    block = storage.block(0)
    let heads = shape.layers * shape.keyValueHeads
    levels = Buffer(count: heads * storage.slotsPerBlock)
    logWeights = Buffer(count: heads * storage.slotsPerBlock)
    used = Buffer(count: heads)
    randoms = Buffer(count: heads)
    ages = Buffer(count: halfLife == nil ? 0 : heads)
    super.init(shape: shape)
    resetHeads()
  }

  static func bytes(capacity: Int, halfLife: Int?, shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int {
    let numbers = 8 * StageStorage.slotsPerBlock(capacity: capacity) + (halfLife == nil ? 12 : 20)
    return StageStorage.blockBytes(type: slotType.elementType, shape: shape, capacity: capacity)
      + shape.layers * shape.keyValueHeads * numbers
  }

  override var bytes: Int { storage.bytes + 8 * levels.count + 12 * used.count + 8 * ages.count }
  override var fullAfter: Int { capacity }
  override func scratchFloats(rows: Int) -> Int { BalancingWalk.scratchFloats(headDim: shape.headDim) }

  /// The tokens of one head.
  func tokens(_ head: Int) -> BalancedTokens {
    let offset = head * block.slots
    return BalancedTokens(
      capacity: capacity, slots: block.slots(head: head, type: storage.type, headDim: shape.headDim),
      levels: levels.pointer + offset, logWeights: logWeights.pointer + offset, usedCount: used.pointer + head)
  }

  private func resetHeads() {
    used.elements.update(repeating: 0)
    ages.elements.update(repeating: 0)
    for head in 0..<used.count { randoms.pointer[head] = SeededRandom(seed: seed, head: head).state }
  }

  override func reset() {
    storage.clear()
    levels.elements.update(repeating: 0)
    resetHeads()
  }

  override func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    guard squaredLength(key, shape.headDim).isFinite, squaredLength(value, shape.headDim).isFinite else { return }
    var random = SeededRandom(state: randoms.pointer[head])
    tokens(head).add(key: key, value: value, scratch: scratch, using: &random, kernels)
    if let halfLife {
      ages.pointer[head] += 1
      if ages.pointer[head] == Int64(halfLife) {
        ages.pointer[head] = 0
        tokens(head).fade(scratch: scratch, using: &random, kernels)
      }
    }
    randoms.pointer[head] = random.state
  }

  override func attend(
    _ queries: QueryRows, head: Int, share: (index: Int, count: Int), partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let tokens = tokens(head)
    let run = sharedRun(of: tokens.used, share: share)
    guard !run.isEmpty else { return }
    kernels.attend(
      tokens.slots, run: run, queries: queries, partial: partial, logWeights: tokens.logWeights,
      scratch: kernelScratch)
  }

  /// Whole buffers: how many tokens are left after a halving depends on chance, the size of a snapshot should not.
  override func write(to writer: inout SnapshotWriter) {
    writer.write(used.pointer, count: used.count)
    writer.write(randoms.pointer, count: randoms.count)
    writer.write(ages.pointer, count: ages.count)
    writer.write(levels.pointer, count: levels.count)
    writer.write(block.base, count: storage.bytes)
  }

  override func read(from reader: inout SnapshotReader) throws(KVCacheError) {
    try reader.read(into: used.pointer, count: used.count)
    try reader.read(into: randoms.pointer, count: randoms.count)
    try reader.read(into: ages.pointer, count: ages.count)
    try reader.read(into: levels.pointer, count: levels.count)
    try reader.read(into: block.base, count: storage.bytes)
    for head in 0..<used.count { try tokens(head).validate() }
    for age in ages.elements where !(0..<Int64(halfLife ?? 0)).contains(age) {
      throw .badSnapshot("counts that halved \(age) tokens ago")
    }
  }
}
