import Evaluation

/// How far the caches of a demo have come, as one line of progress tells it.
package struct DemoStatus: ProgressStatus {
  package struct Cache {
    package let name: String
    package let cacheBytes: Int
    /// Of the newest tokens; nil before there are any.
    package let perplexity: Double?

    package init(name: String, cacheBytes: Int, perplexity: Double?) {
      (self.name, self.cacheBytes, self.perplexity) = (name, cacheBytes, perplexity)
    }
  }

  package let tokens: Int
  /// Tokens that there will probably be time for.
  package let goal: Int
  package let secondsLeft: Double
  package let caches: [Cache]

  package init(tokens: Int, goal: Int, secondsLeft: Double, caches: [Cache]) {
    (self.tokens, self.goal, self.secondsLeft, self.caches) = (tokens, goal, secondsLeft, caches)
  }

  package var done: Int { tokens }

  /// `8,192 of about 12,288 tokens  perplexity: full 27.1 (180 MiB)  window:512 42.6 (11.3 MiB)  0:56 left`
  package func text(perSecond rate: Double?) -> String {
    let parts = caches.compactMap { cache in
      cache.perplexity.map {
        "\(cache.name) \(HumanReadable.decimal($0, places: 1)) (\(HumanReadable.bytes(cache.cacheBytes)))"
      }
    }
    let place = "\(HumanReadable.count(tokens)) of about \(HumanReadable.tokens(goal))"
    let left = HumanReadable.duration(.seconds(max(0, secondsLeft))) + " left"
    return ([place, left, "perplexity:"] + parts).joined(separator: "  ")
  }
}
