/// How a cache remembers what its tokens were worth: a running sum of the attention that each slot was given.
///
/// After a chunk of S tokens, with a[r, j] the probability that query r gives slot j,
/// `score[j] ← decay^S × score[j] + reduce over heads (Σ_r decay^(S−1−r) × a[r, j])`,
/// which equals S single steps. Exact, from the attention kernels' column sums; a new token begins with the sum over its
/// own chunk. The factor 1 − decay of an average is left out: only comparisons matter.
///
/// - decay between 0 and 1: the moving average of cascading caches (arXiv 2406.17808)
/// - decay 1: the plain sum of H2O (arXiv 2306.14048)
/// - decay 0: the last query alone, as in TOVA (arXiv 2401.06104)
public struct ScoreRule: Sendable, Hashable {
  /// How the query heads that share a KV head agree on one score.
  public enum Reduction: String, Sendable, Hashable, CaseIterable {
    case maximum = "max"
    case mean
    /// The lower one of two middle values.
    case median
  }

  /// What a token's score keeps from one token of the stream to the next, 0 to 1.
  public var decay: Double
  public var reduction: Reduction
  /// Whether all heads of a layer share one score, and therefore hold the same tokens.
  public var isHomogeneous: Bool

  /// - Precondition: `decay` is from 0 to 1.
  public init(decay: Double, reduction: Reduction = .maximum, isHomogeneous: Bool = false) {
    precondition((0...1).contains(decay), "a decay is from 0 to 1")
    self.decay = decay
    self.reduction = reduction
    self.isHomogeneous = isHomogeneous
  }

  /// What remains of a score after so many tokens.
  func factor(after tokens: Int) -> Double {
    var factor = 1.0
    for _ in 0..<tokens {
      factor *= decay
      if factor == 0 || decay == 1 { break }
    }
    return factor
  }
}

extension StageParameters {
  /// The options that a score rule reads.
  static let scoreOptions = ["gamma", "reduce", "homogeneous"]

  /// A score rule as written in brackets.
  func scoreRule(decay: Double, reduction: ScoreRule.Reduction) throws(KVCacheError) -> ScoreRule {
    var rule = ScoreRule(decay: decay, reduction: reduction)
    if let text = options["gamma"] {
      guard let value = Double(text), (0...1).contains(value) else {
        throw fail("gamma must be from 0 to 1, but is '\(text)'")
      }
      rule.decay = value
    }
    if let text = options["reduce"] {
      guard let value = ScoreRule.Reduction(rawValue: String(text)) else {
        throw fail("reduce must be max, mean or median, but is '\(text)'")
      }
      rule.reduction = value
    }
    rule.isHomogeneous = try flag("homogeneous", default: false)
    return rule
  }

  /// An option that is on or off.
  func flag(_ name: String, default standard: Bool) throws(KVCacheError) -> Bool {
    guard let text = options[name] else { return standard }
    switch text {
    case "on": return true
    case "off": return false
    default: throw fail("\(name) must be on or off, but is '\(text)'")
    }
  }
}

extension ScoreRule {
  /// The options in which the rule differs from another, as a specification writes them.
  func options(differingFrom standard: ScoreRule) -> [String] {
    var options: [String] = []
    if decay != standard.decay { options.append("gamma=\(decay)") }
    if reduction != standard.reduction { options.append("reduce=\(reduction.rawValue)") }
    if isHomogeneous != standard.isHomogeneous { options.append("homogeneous=\(isHomogeneous ? "on" : "off")") }
    return options
  }
}
