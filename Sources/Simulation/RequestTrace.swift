package import Kernels

/// The lengths of requests, by their means.
package struct RequestTrace: Sendable, Equatable {
  package enum Spread: String, Sendable, CaseIterable {
    /// Every request has the mean lengths.
    case fixed
    /// Lengths are geometric, at least one token: the widest spread that means alone suggest.
    case geometric
  }

  package var name: String
  package var prompt: Double
  package var output: Double
  package var spread = Spread.geometric

  package init(name: String, prompt: Double, output: Double, spread: Spread = .geometric) {
    precondition(prompt >= 1 && output >= 1, "a request has a token to read and one to write")
    self.name = name
    self.prompt = prompt
    self.output = output
    self.spread = spread
  }

  /// The four of Lamina's paper (arXiv 2405.01814v2, section 6.1), by their means.
  package static let known = [
    RequestTrace(name: "azure-conv", prompt: 1155, output: 211),
    RequestTrace(name: "azure-code", prompt: 2048, output: 28),
    RequestTrace(name: "kimi-conv", prompt: 12_035, output: 343),
    RequestTrace(name: "kimi-ta", prompt: 8560, output: 182),
  ]

  /// Tokens that a sequence holds while it writes, averaged over the tokens that are written.
  package var meanContext: Double { prompt + (spread == .fixed ? (output - 1) / 2 : output - 1) }

  /// Tokens of prompt and answer of a running sequence, averaged over time. Long answers run longer, so this is more than
  /// the mean of a request.
  package var meanReserved: Double { prompt + (spread == .fixed ? output : 2 * output - 1) }

  package struct Request: Sendable, Equatable {
    package var prompt: Int
    package var output: Int

    package init(prompt: Int, output: Int) {
      self.prompt = prompt
      self.output = output
    }

    /// Tokens that are held at its end.
    package var tokens: Int { prompt + output }
  }

  package func request(using random: inout SplitMix64) -> Request {
    switch spread {
    case .fixed: Request(prompt: Int(prompt.rounded()), output: Int(output.rounded()))
    case .geometric:
      Request(prompt: random.geometric(mean: prompt), output: random.geometric(mean: output))
    }
  }
}
