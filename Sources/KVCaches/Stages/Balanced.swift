/// Tokens halved again and again so that those kept balance those dropped: BalanceKV in bounded memory.
///
/// Source: "BalanceKV: KV Cache Compression through Discrepancy Theory", arXiv 2502.07861; deviations: see
/// `BalancedTokens`.
public struct Balanced: StageSpecification, MeltingSpecification {
  /// How many tokens are kept.
  public let count: Int
  public let seed: UInt64
  /// `original` or `clipped`.
  public let distance: StageDistance

  /// - Precondition: `count` is at least 1 and `distance` is not `inCache`.
  public init(_ count: Int, seed: UInt64 = 0, distance: StageDistance = .clipped) {
    precondition(count >= 1, "a sample holds at least one token")
    precondition(distance != .inCache, "tokens that melt together have no positions inside the cache")
    self.count = count
    self.seed = seed
    self.distance = distance
  }

  public var description: String {
    var options: [String] = []
    if seed != 0 { options.append("seed=\(seed)") }
    if distance == .original { options.append("positions=original") }
    return "balanced:\(count)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  func makeSummary(shape: KVCache.Shape, slotType: KVCache.SlotType) -> StageSummary {
    BalancedSummary(capacity: count, seed: seed, shape: shape, slotType: slotType)
  }

  func summaryBytes(shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int {
    BalancedSummary.bytes(capacity: count, shape: shape, slotType: slotType)
  }

  static let options = ["seed", "positions"]

  static let registration = StageRegistration(name: "balanced", form: "balanced:COUNT", options: options) {
    parameters throws(KVCacheError) in
    Balanced(
      try parameters.count("count", maximum: StageParameters.largestCount, example: 128), seed: try parameters.seed(),
      distance: try parameters.distance(default: .clipped))
  }
}
