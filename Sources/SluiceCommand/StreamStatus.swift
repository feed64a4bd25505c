/// How far a stream has come, as one line of progress tells it.
package struct StreamStatus: ProgressStatus, Sendable {
  /// What runs, such as a cache's name; may be empty.
  package var label: String
  package var tokens: Int
  /// How many tokens there are in all; nil for an endless stream.
  package var totalTokens: Int?
  package var cacheBytes: Int?
  package var perplexity: Double?

  package init(
    label: String = "", tokens: Int, totalTokens: Int? = nil, cacheBytes: Int? = nil, perplexity: Double? = nil
  ) {
    self.label = label
    self.tokens = tokens
    self.totalTokens = totalTokens
    self.cacheBytes = cacheBytes
    self.perplexity = perplexity
  }

  package var done: Int { tokens }

  /// `window:512  12,345 / 30,000 tokens  41 %  312 tokens/s  cache 22.5 MiB  perplexity 72.81  0:56 left`
  package func text(perSecond tokensPerSecond: Double?) -> String {
    var parts = label.isEmpty ? [] : [label]
    if let totalTokens {
      parts.append("\(HumanReadable.count(tokens)) / \(HumanReadable.tokens(totalTokens))")
      if totalTokens > 0 { parts.append("\(Int(Double(tokens) * 100 / Double(totalTokens))) %") }
    } else {
      parts.append(HumanReadable.tokens(tokens))
    }
    if let tokensPerSecond { parts.append(HumanReadable.rate(tokensPerSecond: tokensPerSecond)) }
    if let cacheBytes { parts.append("cache " + HumanReadable.bytes(cacheBytes)) }
    if let perplexity { parts.append("perplexity " + HumanReadable.decimal(perplexity, places: 2)) }
    if let totalTokens, let tokensPerSecond, tokens < totalTokens, tokensPerSecond > 0 {
      let seconds = Double(totalTokens - tokens) / tokensPerSecond
      if seconds < 1e6 { parts.append(HumanReadable.duration(.seconds(seconds)) + " left") }
    }
    return parts.joined(separator: "  ")
  }
}
