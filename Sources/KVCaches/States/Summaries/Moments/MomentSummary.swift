import Kernels

/// A polynomial of all tokens that melted: for each head the sums, over its tokens, of all products of up to two of the
/// key's main directions, and of the same products times the value.
///
/// A query's logits become a polynomial of its own choice in those products (`HermiteExponential`), so its part of the
/// softmax costs the same after any number of tokens. Keys are centred, which takes the same number off all their logits,
/// and projected to the directions in which they differed most while the cache filled; directions are fixed when
/// the first token melts. Until then the memory of the sums holds the covariance.
///
/// What melts may lie elsewhere than what came while the cache filled. So the center follows (`recentre`), else
/// sums of large products would have to cancel; and of directions that are dropped the mean of what melted counts.
///
/// Counts and sums of features are Float64, sums with values Float32 without drift (`DitheredSums`). A token whose numbers
/// are broken or beyond 1e15 is left out, for it would stay forever.
final class MomentSummary: StageSummary {
  /// Of the polynomial.
  static let degree = 2

  /// All that melted counts as at most so many tokens.
  let largestCount: Double
  /// Directions kept.
  let rank: Int
  let table: MonomialTable
  /// As `table.multiplicities`.
  let multiplicities: Buffer<Float>
  /// `[head, feature]`, the first of each the count of tokens.
  let featureSums: Buffer<Double>
  /// `[head, feature, headDim]`, or the sums of `KeyStatistics` at the start of a head's part.
  private let valueSums: Buffer<Float>
  /// What keys are centred by, `[head, headDim]`.
  private let means: Buffer<Float>
  /// Sums of centred keys, `[head, headDim]`.
  private let driftSums: Buffer<Float>
  /// `[head, headDim, rank]`
  private let directions: Buffer<Float>
  private let heads: Buffer<Head>
  private let dither = DitheredSums.shared

  /// What a head has seen of keys.
  private struct Head {
    var arrived: Int32 = 0
    /// Keys in mean and covariance.
    var counted: Int32 = 0
    /// The mean variance of the directions that are dropped.
    var residualVariance: Float = 0
    var isFixed: Int32 = 0
    /// The state of the random source.
    var random: UInt64 = 0
  }

  /// The first tokens are attention sinks, whose keys are like no others.
  static let skippedArrivals = 4
  /// Keys in a covariance at most: as many as tell directions apart, and as few as float32 sums bear.
  private static let largestSample = 1 << 16

  /// Numbers beyond this are not summed.
  private static let largestValue: Float = 1e15
  /// Projected keys beyond this are not summed: products of two stay far inside Float32 even in long sums.
  private static let largestVariable: Float = 0x1p29

  init(_ specification: Moments, _ site: StateSite) {
    let headDim = site.headDim
    largestCount = Double(specification.weight)
    rank = min(specification.rank, headDim)
    table = MonomialTable(variables: rank, degree: Self.degree)
    multiplicities = Buffer(count: table.count)
    for index in 0..<table.count { multiplicities.pointer[index] = Float(table.multiplicities.pointer[index]) }
    let count = site.count
    featureSums = Buffer(count: count * table.count)
    valueSums = Buffer(count: count * Self.valueFloats(features: table.count, dim: headDim))
    means = Buffer(count: count * headDim)
    driftSums = Buffer(count: count * headDim)
    directions = Buffer(count: count * headDim * rank)
    heads = Buffer(count: count)
    super.init(site, isClipped: specification.distance == .clipped)
    resetHeads()
  }

  private func resetHeads() {
    for head in 0..<heads.count {
      heads.pointer[head] = Head(random: SeededRandom(seed: 0, head: site.heads.modelHeads[head]).state)
    }
  }

  /// Floats of a head's sums, which first hold a covariance.
  private static func valueFloats(features: Int, dim: Int) -> Int {
    max(features * dim, KeyStatistics.productFloats(dim: dim))
  }

  /// The bytes of one head's part.
  static func headBytes(rank: Int, dim: Int) -> Int {
    let features = MonomialTable.count(variables: rank, degree: degree) ?? 0
    return 8 * features + 4 * (valueFloats(features: features, dim: dim) + 2 * dim + dim * rank)
      + MemoryLayout<Head>.stride
  }

  override var bytes: Int {
    headCount * Self.headBytes(rank: rank, dim: headDim)
  }

  override var observesArrivals: Bool { true }
  override var fullAfter: Int { 32 }

  override func scratchFloats(rows: Int) -> Int {
    let dim = headDim
    // One more double, since scratch need not begin at one.
    let doubles = PrincipalDirections.scratchDoubles(dim: dim, rank: rank) + 1
    return 2 * doubles + max(rows, 1) * (rank + table.count + dim + 2) + dim
  }

  override func reset() {
    featureSums.elements.update(repeating: 0)
    valueSums.elements.update(repeating: 0)
    means.elements.update(repeating: 0)
    driftSums.elements.update(repeating: 0)
    directions.elements.update(repeating: 0)
    resetHeads()
  }

  // Parts of a head.

  func featureSums(of head: Int) -> UnsafeMutablePointer<Double> { featureSums.pointer + head * table.count }
  func directions(of head: Int) -> UnsafeMutablePointer<Float> { directions.pointer + head * headDim * rank }
  func mean(of head: Int) -> UnsafeMutablePointer<Float> { means.pointer + head * headDim }
  func driftSums(of head: Int) -> UnsafeMutablePointer<Float> { driftSums.pointer + head * headDim }
  func residualVariance(of head: Int) -> Float { heads.pointer[head].residualVariance }
  func valueSums(of head: Int) -> UnsafeMutablePointer<Float> {
    valueSums.pointer + head * Self.valueFloats(features: table.count, dim: headDim)
  }

  override func observe(
    key: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    let state = heads.pointer + head
    guard state.pointee.isFixed == 0, state.pointee.counted < Self.largestSample else { return }
    state.pointee.arrived += 1
    guard state.pointee.arrived > Self.skippedArrivals, Self.isUsable(key, count: headDim) else { return }
    state.pointee.counted += 1
    statistics(of: head).add(key, count: Int(state.pointee.counted), scratch: scratch, kernels)
  }

  override func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {
    if heads.pointer[head].isFixed == 0 { fix(head: head, scratch) }
    let dim = headDim
    let (variables, features, centred) = (scratch, scratch + rank, scratch + rank + table.count)
    let mean = mean(of: head)
    for index in 0..<dim { centred[index] = key[index] - mean[index] }
    kernels.sumRows(
      of: directions(of: head), count: dim, columns: rank, weights: centred, weightStride: dim, sums: 1, out: variables,
      outStride: rank)
    guard Self.isUsable(variables, count: rank, limit: Self.largestVariable), Self.isUsable(centred, count: dim),
      Self.isUsable(value, count: dim)
    else { return }
    table.evaluate(variables, into: features)
    let sums = featureSums(of: head)
    for index in 0..<table.count { sums[index] += Double(features[index]) }
    var random = SeededRandom(state: heads.pointer[head].random)
    dither.add(
      value, times: features, toRowsOf: valueSums(of: head), count: table.count, columns: dim, seed: random.next())
    // The first feature is 1.
    dither.add(
      centred, times: features, toRowsOf: driftSums(of: head), count: 1, columns: dim, seed: random.next())
    heads.pointer[head].random = random.state
    recentreWhereFar(head: head, scratch: centred)
  }

  /// Threads that share the work take turns by heads.
  override func attend(
    _ queries: QueryRows, head: Int, share: WorkShare, partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {
    guard head % share.count == share.index, featureSums(of: head)[0] > 0 else { return }
    attendToAll(queries, head: head, partial: partial, scratch: scratch, kernels)
  }

  private func statistics(of head: Int) -> KeyStatistics {
    KeyStatistics(dim: headDim, mean: mean(of: head), products: valueSums(of: head))
  }

  /// Fixes the directions of a head and makes room for its sums.
  private func fix(head: Int, _ scratch: UnsafeMutablePointer<Float>) {
    let dim = headDim
    let state = heads.pointer + head
    let doubles = Self.doubles(in: scratch)
    statistics(of: head).covariance(count: Int(state.pointee.counted), to: doubles)
    state.pointee.residualVariance = PrincipalDirections.find(
      dim: dim, rank: rank, to: directions(of: head), scratch: doubles)
    valueSums(of: head).update(repeating: 0, count: Self.valueFloats(features: table.count, dim: dim))
    state.pointee.isFixed = 1
  }

  /// The first place in scratch where a double may lie.
  static func doubles(in scratch: UnsafeMutablePointer<Float>) -> UnsafeMutablePointer<Double> {
    UnsafeMutableRawPointer(scratch).alignedUp(for: Double.self).assumingMemoryBound(to: Double.self)
  }

  /// Whether numbers can be summed up; the others are not numbers, or too large.
  private static func isUsable(_ values: UnsafePointer<Float>, count: Int, limit: Float = largestValue) -> Bool {
    var isUsable = true
    for index in 0..<count { isUsable = isUsable && abs(values[index]) <= limit }
    return isUsable
  }

  override func write(head: Int, to writer: inout SectionWriter) {
    let state = heads.pointer[head]
    writer.write(state.arrived)
    writer.write(state.counted)
    writer.write(state.residualVariance.bitPattern)
    writer.write(state.isFixed)
    writer.write(state.random)
    writer.write(featureSums(of: head), count: table.count)
    for part in floats(of: head) { writer.write(UnsafeRawBufferPointer(part)) }
  }

  override func read(head: Int, from reader: inout SectionReader) throws(KVCacheError) {
    let state = Head(
      arrived: try reader.read(), counted: try reader.read(),
      residualVariance: Float(bitPattern: try reader.read(UInt32.self)), isFixed: try reader.read(),
      random: try reader.read())
    guard state.counted >= 0, state.arrived >= state.counted, (0...1).contains(state.isFixed),
      state.residualVariance >= 0, state.residualVariance.isFinite
    else { throw .badSnapshot("impossible counts of keys") }
    heads.pointer[head] = state
    try reader.read(into: featureSums(of: head), count: table.count)
    for part in floats(of: head) {
      try reader.read(into: UnsafeMutableRawBufferPointer(part))
      guard part.allSatisfy(\.isFinite) else { throw .badSnapshot("a sum that is not a number") }
    }
    let sums = UnsafeBufferPointer(start: featureSums(of: head), count: table.count)
    guard sums.allSatisfy(\.isFinite) else { throw .badSnapshot("a sum that is not a number") }
    let count = sums[0]
    guard count >= 0, count < 0x1p53, count == count.rounded(), count == 0 || state.isFixed == 1 else {
      throw .badSnapshot("impossible count of melted tokens")
    }
  }

  /// A head's mean, sums of centred keys, directions and sums with values.
  private func floats(of head: Int) -> [UnsafeMutableBufferPointer<Float>] {
    let sums = Self.valueFloats(features: table.count, dim: headDim)
    return [
      (mean(of: head), headDim), (driftSums(of: head), headDim), (directions(of: head), headDim * rank),
      (valueSums(of: head), sums),
    ].map {
      UnsafeMutableBufferPointer(start: $0.0, count: $0.1)
    }
  }
}
