/// How sequences are divided among workers: by requests, each group's by slots, each part's by heads.
package struct WorkDivision: Sendable, Hashable, CustomStringConvertible {
  /// Groups of workers that have whole sequences.
  package var requests = 1
  /// Workers that share the slots of the same heads.
  package var slots = 1
  /// Workers that share the heads of a layer.
  package var heads = 1

  package init(requests: Int = 1, slots: Int = 1, heads: Int = 1) {
    precondition(requests > 0 && slots > 0 && heads > 0, "a division into nothing")
    (self.requests, self.slots, self.heads) = (requests, slots, heads)
  }

  /// Workers that it takes.
  package var workers: Int { requests * slots * heads }

  /// Those that have the same sequences together, `[slots][heads]`.
  func workers(ofGroup group: Int) -> Range<Int> { group * slots * heads..<(group + 1) * slots * heads }

  /// Reads `heads`, `requests` or `tokens` for all workers, or a product such as `heads:2,tokens:2`.
  ///
  /// - Throws: `OffloadError.badSetting` where it is none, or not for so many workers.
  package init(_ text: String, workers: Int) throws(OffloadError) {
    self.init()
    var seen: Set<Substring> = []
    let factors = text.split(separator: ",", omittingEmptySubsequences: false)
    for factor in factors {
      let parts = factor.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let count = parts.count == 2 ? Int(parts[1]) : factors.count == 1 ? workers : nil
      guard let name = parts.first, let count, (1...1024).contains(count), seen.insert(name).inserted else {
        throw .badSetting("'\(text)' is no division: write heads, requests, tokens, or a product as heads:2,tokens:2")
      }
      switch name {
      case "heads": heads = count
      case "requests": requests = count
      case "tokens": slots = count
      default: throw .badSetting("'\(name)' is nothing to divide by; known are heads, requests and tokens")
      }
    }
    guard self.workers == workers else {
      throw .badSetting("'\(text)' is a division among \(self.workers) workers, and there are \(workers)")
    }
  }

  package var description: String { "requests:\(requests),tokens:\(slots),heads:\(heads)" }
}
