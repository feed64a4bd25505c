/// Everything that reaches the stage, melted into the moments of one polynomial for each KV head: attention to an endless
/// past from a matrix of fixed size.
///
/// Keys are centred and projected to the directions in which they differ most; the sums of all products of up to two of
/// them, alone and times the value, are all that is kept. A query answers with the polynomial that stands best for its own
/// logits. Good for the bulk of small logits, so exact stages that keep the large ones belong in front; a single token
/// cannot be found again in a sum.
///
/// Where distances are clipped, tokens are taken to be spread over `distanceSpread` positions behind the window, so a query is
/// rotated to the mean of them all: what depends on the exact distance fades. In a sum of many tokens that is their
/// true answer on average; all at one distance next to the window, they outweigh it.
///
/// A relative, for heads of real size and for decoding, of Addanki et al., "One Pass Streaming Algorithm for Super Long Token
/// Attention Approximation in Sublinear Space", arXiv 2311.14652, whose algorithm is `OnePassSketch` in `Evaluation`. The
/// projection, the polynomial for each query, the correction for dropped directions, the spread and the limit to what an
/// endless past weighs are ours.
public struct Moments: MeltingSpecification, Hashable {
  /// Directions of the keys that are kept; all where heads have no more dimensions.
  public let rank: Int
  /// All that melted counts as at most so many tokens: a model knows softmax sums up to the length it was trained for.
  public let weight: Int
  /// `original` or `clipped`.
  public let distance: StageDistance

  private static let standardWeight = 4096

  /// - Precondition: `rank` is positive, with at most 65,536 products; `weight` is positive; `distance` is not `inCache`.
  public init(_ rank: Int = 16, weight: Int = 4096, distance: StageDistance = .clipped) {
    precondition(Self.problem(rank: rank) == nil, "not too many products")
    precondition(weight >= 1, "what melts counts as something")
    precondition(distance != .inCache, "tokens that melt together have no positions inside the cache")
    self.rank = rank
    self.weight = weight
    self.distance = distance
  }

  private static func problem(rank: Int) -> String? {
    guard let count = MonomialTable.count(variables: rank, degree: MomentSummary.degree), count <= 1 << 16 else {
      return "\(rank) directions have more than 65536 products of up to two"
    }
    return nil
  }

  public var description: String {
    var options: [String] = []
    if weight != Self.standardWeight { options.append("weight=\(weight)") }
    if distance == .original { options.append("positions=original") }
    return "moments:\(rank)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  /// Tokens with slots of F16 that take the memory of a head of so many dimensions, rounded up.
  func tokenEquivalents(headDim: Int) -> Int {
    let token = 4 * headDim
    return (MomentSummary.headBytes(rank: min(rank, headDim), dim: headDim) + token - 1) / token
  }

  static let options = ["weight", "positions"]

  static let registration = StageRegistration(name: "moments", form: "moments:RANK", options: options) {
    parameters throws(KVCacheError) in
    try Moments(parameters, rank: try parameters.count("rank", maximum: StageParameters.largestCount, example: 16))
  }

  init(_ parameters: StageParameters, rank: Int) throws(KVCacheError) {
    var weight = Self.standardWeight
    if let text = parameters.options["weight"] {
      weight = try parameters.number(text, "weight", in: 1...StageParameters.largestCount)
    }
    if let problem = Self.problem(rank: rank) { throw parameters.fail(problem) }
    self.init(rank, weight: weight, distance: try parameters.distance(default: .clipped))
  }
}

extension Moments {
  var distanceSpread: Int { 1024 }

  func problem(for attention: AttentionLayer) -> String? {
    attention.softCap == nil ? nil : "a polynomial cannot stand for logits with a soft cap"
  }

  func problem(with stages: [any StageSpecification]) -> String? {
    let room = stages.compactMap(\.capacity).reduce(0, +)
    let least = rank + MomentSummary.skippedArrivals
    guard room < least else { return nil }
    return "'\(self)' takes its directions from keys that stages in front of it hold, so those need \(least) slots "
      + "or more, but have \(room)"
  }

  func makeState(_ site: StateSite) -> StageState { MomentSummary(self, site) }

  func bytes(_ site: StateSite, tokens: Int) -> Int {
    site.count * MomentSummary.headBytes(rank: min(rank, site.headDim), dim: site.headDim)
  }
}
