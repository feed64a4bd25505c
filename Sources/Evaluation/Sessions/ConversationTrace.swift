import CLibrary
import Kernels

/// Conversations of many users as one seeded trace, in the shape of ShareGPT.
///
/// The sources of the shape: CachedAttention (arXiv 2403.19708) gives 5.75 turns a conversation on average, 73 % with more
/// than one, and 30 % with more than 4,096 tokens; vLLM (arXiv 2309.06180) a mean of 161 tokens of prompt and 338 of answer.
/// Lengths are log-normal here and a fifth longer than vLLM's, with which 30 % exceed 4,096. When a user goes on is not
/// documented anywhere; it is a parameter.
package struct ConversationTrace: Sendable {
  package struct Options: Sendable {
    package var conversations = 1000
    /// Conversations that begin in a second; when is a Poisson process.
    package var rate = 1.0
    /// Seconds from an answer to the next question, on average; exponential.
    package var thinkSeconds = 60.0
    /// What all lengths are multiplied by.
    package var scale = 1.0
    package var seed: UInt64 = 1

    package init() {}
  }

  /// A question and its answer, in tokens.
  package struct Turn: Sendable, Hashable {
    package let question, answer: Int
    /// Seconds after the answer before.
    package let thinkSeconds: Double
  }

  package struct Conversation: Sendable, Hashable {
    /// Seconds after the start of the trace.
    package let arrival: Double
    package let turns: [Turn]
  }

  package static let meanTurns = 5.75
  package static let multiTurnShare = 0.73
  private static let (questionMean, answerMean) = (1.2 * 161.31, 1.2 * 337.99)
  private static let (questionSpread, answerSpread) = (1.2, 0.9)

  package let conversations: [Conversation]

  package init(_ options: Options) {
    var source = SplitMix64(seed: options.seed)
    var arrival = 0.0
    conversations = (0..<options.conversations).map { _ in
      arrival += source.exponential() / options.rate
      let turns = (0..<Self.turnCount(&source)).map { _ in
        Turn(
          question: Self.length(Self.questionMean * options.scale, Self.questionSpread, &source),
          answer: Self.length(Self.answerMean * options.scale, Self.answerSpread, &source),
          thinkSeconds: source.exponential() * options.thinkSeconds)
      }
      return Conversation(arrival: arrival, turns: turns)
    }
  }

  package var turns: Int { conversations.reduce(0) { $0 + $1.turns.count } }

  /// One, or two and a geometric number more.
  private static func turnCount(_ source: inout SplitMix64) -> Int {
    guard source.uniform() < multiTurnShare else { return 1 }
    let more = (meanTurns - 1 + multiTurnShare) / multiTurnShare - 2
    return 2 + Int(-source.exponential() / log(more / (1 + more)))
  }

  private static func length(_ mean: Double, _ spread: Double, _ source: inout SplitMix64) -> Int {
    max(1, Int(exp(log(mean) - spread * spread / 2 + spread * source.normal())))
  }
}

extension SplitMix64 {
  /// In (0, 1).
  mutating func uniform() -> Double { (Double(next() >> 11) + 0.5) / Double(1 << 53) }

  /// Of mean 1.
  mutating func exponential() -> Double { -log(uniform()) }

  /// Of mean 0 and variance 1 (Box and Muller).
  mutating func normal() -> Double { (-2 * log(uniform())).squareRoot() * cos(2 * .pi * uniform()) }
}
