/// Tokens that melt together into clusters of near keys: SubGen, and clusters by Ward's cost.
///
/// With `ward`, the default, each of `count` slots holds the mean key and the mean value of a cluster, and logits gain the
/// logarithm of its number of tokens. With `paper` the same memory holds the samples of SubGen's Algorithm 1.
///
/// Sources: Zandieh, Han, Mirrokni, Karbasi, "SubGen: Token Generation in Sublinear Time and Memory", arXiv 2402.06082;
/// Ward, "Hierarchical Grouping to Optimize an Objective Function", 1963. The paper's experiments used neither: they chose
/// k centers once after prefill. Deviations of `paper`: see `NormalizerClusters` and `ValueSamples`; sinks and a window in
/// front are exact.
public struct Clusters: MeltingSpecification, Hashable {
  /// How tokens melt.
  public enum Kind: Sendable, Hashable {
    /// Weighted centroids, ours.
    ///
    /// - Parameter halfLife: tokens after which one counts half as much as a new one; nil for never.
    case ward(halfLife: Int? = nil)
    /// Samples of clusters and of values.
    case paper(Sampling)
  }

  /// What SubGen's Algorithm 1 leaves open.
  public struct Sampling: Sendable, Hashable {
    /// t, samples of each cluster.
    public var samplesPerCluster: Int
    /// s, samples by the length of values, each worth a slot; nil for half of the slots.
    public var valueSamples: Int?
    /// δ, how far keys of a cluster are from the first one, in units of keys; nil to let it grow from 0 as room is needed.
    public var delta: Double?
    public var seed: UInt64

    public init(samplesPerCluster: Int = 1, valueSamples: Int? = nil, delta: Double? = nil, seed: UInt64 = 0) {
      self.samplesPerCluster = samplesPerCluster
      self.valueSamples = valueSamples
      self.delta = delta
      self.seed = seed
    }
  }

  /// Slots; the bytes of the stage are about theirs.
  public let count: Int
  public let kind: Kind
  /// `original` or `clipped`.
  public let distance: StageDistance

  /// - Precondition: `count` is at least 1, for samples enough for one of each sort, and `distance` is not `inCache`.
  public init(_ count: Int, kind: Kind = .ward(), distance: StageDistance = .clipped) {
    precondition(count >= 1, "clusters need a slot")
    precondition(distance != .inCache, "tokens that melt together have no positions inside the cache")
    if case .ward(let halfLife) = kind { precondition(halfLife ?? 1 >= 1, "a half-life is at least a token") }
    if case .paper(let sampling) = kind {
      precondition(Self.sizes(sampling, slots: count) != nil, "too few slots for a sample of each sort")
    }
    self.count = count
    self.kind = kind
    self.distance = distance
  }

  /// The paper's sizes in so many slots: s of them for values, the others for m clusters of t + 1 keys, half a slot each.
  /// Nil where something would be without a sample.
  private static func sizes(_ sampling: Sampling, slots: Int) -> SubGenSizes? {
    let values = sampling.valueSamples ?? slots / 2
    guard values >= 1, values < slots, (1...1 << 20).contains(sampling.samplesPerCluster) else { return nil }
    guard sampling.delta.map({ $0 >= 0 && $0.isFinite }) ?? true else { return nil }
    let clusters = 2 * (slots - values) / (sampling.samplesPerCluster + 1)
    guard clusters >= 1 else { return nil }
    return SubGenSizes(
      clusters: clusters, samplesPerCluster: sampling.samplesPerCluster, valueSamples: values, delta: sampling.delta,
      seed: sampling.seed)
  }

  private var sizes: SubGenSizes? {
    guard case .paper(let sampling) = kind else { return nil }
    return Self.sizes(sampling, slots: count)
  }

  private var halfLife: Int? {
    guard case .ward(let halfLife) = kind else { return nil }
    return halfLife
  }

  public var description: String {
    var options: [String] = []
    if let halfLife { options.append("half-life=\(halfLife)") }
    if case .paper(let sampling) = kind {
      options.append("kind=paper")
      if sampling.samplesPerCluster != 1 { options.append("t=\(sampling.samplesPerCluster)") }
      if let values = sampling.valueSamples { options.append("s=\(values)") }
      if let delta = sampling.delta { options.append("delta=\(delta)") }
      if sampling.seed != 0 { options.append("seed=\(sampling.seed)") }
    }
    if distance == .original { options.append("positions=original") }
    return "clusters:\(count)" + (options.isEmpty ? "" : "[\(options.joined(separator: ","))]")
  }

  func makeState(_ site: StateSite) -> StageState {
    let isClipped = distance == .clipped
    guard let sizes else { return WardSummary(capacity: count, halfLife: halfLife, isClipped: isClipped, site) }
    return SubGenSummary(sizes, isClipped: isClipped, site)
  }

  func bytes(_ site: StateSite, tokens: Int) -> Int {
    guard let sizes else { return WardSummary.bytes(capacity: count, halfLife: halfLife, site) }
    return SubGenSummary.bytes(sizes, site)
  }

  static let options = ["kind", "half-life", "t", "s", "delta", "seed", "positions"]

  static let registration = StageRegistration(name: "clusters", form: "clusters:COUNT", options: options) {
    parameters throws(KVCacheError) in
    try Clusters(
      parameters, count: try parameters.count("count", maximum: StageParameters.largestCount, example: 128),
      kind: "kind")
  }

  /// - Parameters:
  ///   - kind: the option that chooses between `ward` and `paper`.
  ///   - defaultHalfLife: that of `ward`, unless it is given or `off`.
  init(
    _ parameters: StageParameters, count: Int, kind option: String, defaultHalfLife: Int? = nil
  ) throws(KVCacheError) {
    let kind = parameters.options[option] ?? "ward"
    guard kind == "ward" || kind == "paper" else {
      throw parameters.fail("\(option) must be ward or paper, but is '\(kind)'")
    }
    let distance = try parameters.distance(default: .clipped)
    guard kind == "paper" else {
      if let name = ["t", "s", "delta", "seed"].first(where: { parameters.options[$0] != nil }) {
        throw parameters.fail("\(name) is for \(option)=paper")
      }
      let halfLife = try parameters.halfLife(default: defaultHalfLife)
      self.init(count, kind: .ward(halfLife: halfLife), distance: distance)
      return
    }
    if parameters.options["half-life"] != nil { throw parameters.fail("half-life is for \(option)=ward") }
    var sampling = Sampling(seed: try parameters.seed())
    if let text = parameters.options["t"] {
      sampling.samplesPerCluster = try parameters.number(text, "t", in: 1...4096)
    }
    if let text = parameters.options["s"] {
      sampling.valueSamples = try parameters.number(text, "s", in: 1...StageParameters.largestCount)
    }
    if let text = parameters.options["delta"] {
      guard let value = Double(text), value >= 0, value.isFinite else {
        throw parameters.fail("delta must be a distance, but is '\(text)'")
      }
      sampling.delta = value
    }
    guard Self.sizes(sampling, slots: count) != nil else {
      throw parameters.fail("\(count) slots leave no room for samples of clusters and of values")
    }
    self.init(count, kind: .paper(sampling), distance: distance)
  }
}

extension StageParameters {
  /// The option `half-life`, a number of tokens, or nil for `off`.
  func halfLife(default standard: Int?) throws(KVCacheError) -> Int? {
    guard let text = options["half-life"] else { return standard }
    return text == "off" ? nil : try number(text, "half-life", in: 1...Self.largestCount)
  }

  /// The option `seed`, 0 where it is not given.
  func seed() throws(KVCacheError) -> UInt64 {
    guard let text = options["seed"] else { return 0 }
    return UInt64(try number(text, "seed", in: 0...Int.max))
  }
}
