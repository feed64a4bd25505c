package import KVCaches

/// What an evaluation runs with: a cache plan, or recomputation of a sliding window, which keeps no cache at all.
package enum CachePolicy: Sendable, Hashable, CustomStringConvertible {
  case plan(KVCache.Plan, name: String)
  /// For every `stride` tokens, the last `window` tokens are computed afresh as a sequence of their own.
  ///
  /// The baseline of arXiv 2309.17453 (there with stride 1): the quality of a window without its breakdown, at the cost
  /// of `window / stride` passes a token.
  case recompute(window: Int, stride: Int)

  /// Reads a specification: those of `KVCache.Plan`, and `recompute:WINDOW[/STRIDE]`.
  ///
  /// - Parameter resolver: says what the names in a plan stand for.
  package init(_ specification: String, resolver: PlanResolver = .none) throws(KVCacheError) {
    guard specification.hasPrefix("recompute") else {
      self = .plan(try KVCache.Plan(specification, resolver: resolver), name: specification)
      return
    }
    let form = "needs WINDOW[/STRIDE] with STRIDE at most WINDOW, for example 'recompute:512/128'"
    let parts = specification.dropFirst("recompute:".count).split(separator: "/", omittingEmptySubsequences: false)
    guard specification.hasPrefix("recompute:"), (1...2).contains(parts.count), let window = Self.count(parts[0]),
      let stride = parts.count == 2 ? Self.count(parts[1]) : 1, stride <= window
    else { throw .badSpecification(specification, form) }
    self = .recompute(window: window, stride: stride)
  }

  private static func count(_ digits: Substring) -> Int? {
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(digits) else { return nil }
    return (1...(1 << 20)).contains(value) ? value : nil
  }

  package var description: String {
    switch self {
    case .plan(_, let name): name
    case .recompute(let window, let stride): "recompute:\(window)" + (stride == 1 ? "" : "/\(stride)")
    }
  }
}
