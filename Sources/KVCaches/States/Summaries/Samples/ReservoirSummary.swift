import CLibrary
import Kernels

/// A uniform sample of all tokens of each head, each standing for as many as there were per token kept.
///
/// Reservoir sampling (Vitter, "Random Sampling with a Reservoir", 1985, Algorithm R): token n takes the place of a random
/// one of K with probability K / n. Logits gain log(n / K), which makes the sums over the sample estimates of the sums over
/// all. Every head draws by itself.
final class ReservoirSummary: StageSummary {
  let capacity: Int
  let seed: UInt64
  private let storage: StageStorage
  private let block: StageStorage.Block
  /// `[layer, KV head]`
  private let heads: Buffer<Head>

  private struct Head {
    /// Tokens that ever came.
    var seen: Int64 = 0
    var random: UInt64
  }

  init(capacity: Int, seed: UInt64, isClipped: Bool, _ site: StateSite) {
    self.capacity = capacity
    self.seed = seed
    storage = StageStorage(site, capacity: capacity)
    block = storage.block(0)
    heads = Buffer(count: site.count)
    super.init(site, isClipped: isClipped)
    resetHeads()
  }

  static func bytes(capacity: Int, _ site: StateSite) -> Int {
    StageStorage.bytes(site, capacity: capacity) + site.count * MemoryLayout<Head>.stride
  }

  override var bytes: Int { storage.bytes + MemoryLayout<Head>.stride * heads.count }
  override var fullAfter: Int { capacity }

  /// Tokens of one head that ever came.
  func seen(_ head: Int) -> Int64 { heads.pointer[head].seen }

  /// The sample of one head: the first `min(seen, capacity)` slots.
  func slots(_ head: Int) -> SlotStorage { block.slots(head: head, type: storage.type, headDim: headDim) }

  private func used(_ head: Int) -> Int { Int(min(heads.pointer[head].seen, Int64(capacity))) }

  private func resetHeads() {
    for head in 0..<heads.count {
      heads.pointer[head] = Head(random: SeededRandom(seed: seed, head: site.heads.modelHeads[head]).state)
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
    guard squaredLength(key, headDim).isFinite, squaredLength(value, headDim).isFinite else { return }
    let before = Int(heads.pointer[head].seen)
    heads.pointer[head].seen += 1
    var slot = before
    if before >= capacity {
      var random = SeededRandom(state: heads.pointer[head].random)
      slot = random.index(below: before + 1)
      heads.pointer[head].random = random.state
    }
    guard slot < capacity else { return }
    let slots = slots(head)
    kernels.writeKey(key, to: slot, of: slots)
    kernels.writeValue(value, to: slot, of: slots)
  }

  override func attend(
    _ queries: QueryRows, head: Int, share: WorkShare, partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let run = sharedRun(of: used(head), share: share)
    guard !run.isEmpty else { return }
    // The same weight for all: instead of adding it to the logits, it is taken off what they are compared with.
    let weight = Float(log(Double(heads.pointer[head].seen) / Double(used(head))))
    for row in 0..<queries.count { partial.max[row] -= weight }
    kernels.attend(slots(head), run: run, queries: queries, partial: partial, scratch: kernelScratch)
    for row in 0..<queries.count { partial.max[row] += weight }
  }

  override func write(head: Int, to writer: inout SectionWriter) {
    writer.write(heads.pointer[head].seen)
    writer.write(heads.pointer[head].random)
    storage.write(used(head), head: head, to: &writer)
  }

  override func read(head: Int, from reader: inout SectionReader) throws(KVCacheError) {
    heads.pointer[head].seen = try reader.read()
    heads.pointer[head].random = try reader.read()
    guard (0..<Int64.max / 2).contains(heads.pointer[head].seen) else {
      throw .badSnapshot("a sample of \(heads.pointer[head].seen) tokens")
    }
    try storage.read(used(head), head: head, from: &reader)
  }
}
