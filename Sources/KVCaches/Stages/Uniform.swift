/// A uniform sample of all tokens that reached the stage, each standing for as many as there were per token kept.
///
/// What any choice of tokens must beat at equal bytes. Source of the sample: Vitter, "Random Sampling with a Reservoir",
/// 1985.
public struct Uniform: MeltingSpecification, Hashable {
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
    return "uniform:\(count)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  func makeState(_ site: StateSite) -> StageState {
    ReservoirSummary(capacity: count, seed: seed, isClipped: distance == .clipped, site)
  }

  func bytes(_ site: StateSite, tokens: Int) -> Int { ReservoirSummary.bytes(capacity: count, site) }

  static let options = ["seed", "positions"]

  static let registration = StageRegistration(name: "uniform", form: "uniform:COUNT", options: options) {
    parameters throws(KVCacheError) in
    try Uniform(
      parameters, count: try parameters.count("count", maximum: StageParameters.largestCount, example: 128))
  }

  init(_ parameters: StageParameters, count: Int) throws(KVCacheError) {
    self.init(count, seed: try parameters.seed(), distance: try parameters.distance(default: .clipped))
  }
}
