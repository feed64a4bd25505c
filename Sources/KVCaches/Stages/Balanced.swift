/// Tokens halved again and again so that those kept balance those dropped: BalanceKV in bounded memory.
///
/// Source: "BalanceKV: KV Cache Compression through Discrepancy Theory", arXiv 2502.07861; deviations: see
/// `BalancedTokens`. The half-life is ours.
public struct Balanced: StageSpecification, MeltingSpecification {
  /// How many tokens are kept.
  public let count: Int
  /// Tokens after which all counts halve; nil for never. Where it is below half of `count`, slots stay empty.
  public let halfLife: Int?
  public let seed: UInt64
  /// `original` or `clipped`.
  public let distance: StageDistance

  /// - Precondition: `count` is at least 1, `halfLife` too, and `distance` is not `inCache`.
  public init(_ count: Int, halfLife: Int? = nil, seed: UInt64 = 0, distance: StageDistance = .clipped) {
    precondition(count >= 1, "a sample holds at least one token")
    precondition(halfLife ?? 1 >= 1, "a half-life is at least a token")
    precondition(distance != .inCache, "tokens that melt together have no positions inside the cache")
    self.count = count
    self.halfLife = halfLife
    self.seed = seed
    self.distance = distance
  }

  public var description: String {
    var options: [String] = []
    if let halfLife { options.append("half-life=\(halfLife)") }
    if seed != 0 { options.append("seed=\(seed)") }
    if distance == .original { options.append("positions=original") }
    return "balanced:\(count)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  func makeSummary(shape: KVCache.Shape, slotType: KVCache.SlotType) -> StageSummary {
    BalancedSummary(capacity: count, halfLife: halfLife, seed: seed, shape: shape, slotType: slotType)
  }

  func summaryBytes(shape: KVCache.Shape, slotType: KVCache.SlotType) -> Int {
    BalancedSummary.bytes(capacity: count, halfLife: halfLife, shape: shape, slotType: slotType)
  }

  static let options = ["half-life", "seed", "positions"]

  static let registration = StageRegistration(name: "balanced", form: "balanced:COUNT", options: options) {
    parameters throws(KVCacheError) in
    try Balanced(
      parameters, count: try parameters.count("count", maximum: StageParameters.largestCount, example: 128))
  }

  init(_ parameters: StageParameters, count: Int) throws(KVCacheError) {
    self.init(
      count, halfLife: try parameters.halfLife(default: nil), seed: try parameters.seed(),
      distance: try parameters.distance(default: .clipped))
  }
}
