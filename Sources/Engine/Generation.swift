package import Constraints
import KVCaches
package import Tokenizers

/// Writes text: asks its sequence for logits, samples a token from them, gives out its text, and appends it.
///
/// Limits count generated tokens, never positions. Text is given out in whole characters only, and what may be the start
/// of a stop string is held back until it is clear. A sequence that guesses gets the logits of several tokens in one step, as
/// long as each agrees with its guess: every token is sampled as it would be without, and none behind the end stays.
package struct Generation {
  /// Why a text ended.
  package enum Finish: Sendable, Hashable {
    /// The model ended its text.
    case endOfText
    /// A stop string came up.
    case stopString
    /// As many tokens as were asked for.
    case limit
    /// The caller stopped it, or an error did.
    case cancelled
  }

  package let sequence: Sequence
  private let tokenizer: Tokenizer
  private let limit: Int?
  private var sampler: Sampler
  private var decoder: IncrementalDecoder
  private var stops: StopStrings
  /// What the text must be; nil where it is free.
  private var matcher: ConstraintMatcher?
  /// A stop string that is a special token and was met.
  private var metToken: Int32?
  /// Stop strings that are special tokens, which never show in text.
  private let stopTokens: Set<Int32>
  /// Tokens generated so far, the end token not counted.
  package private(set) var generatedTokens = 0
  package private(set) var finish: Finish?
  /// Whether a token that is part of the text ended it by a stop string.
  private var lastTokenStops = false

  /// - Parameters:
  ///   - limit: the most tokens, nil for no limit
  ///   - showsControlTokens: whether control tokens are written out, for a reader of the answer's format
  ///   - sampling: without `problem`
  ///   - matcher: at the start of a text that is to be kept to a constraint
  package init(
    _ sequence: Sequence, tokenizer: Tokenizer, sampling: SamplingOptions, stopStrings: [String] = [],
    limit: Int? = nil, showsControlTokens: Bool = false, matcher: ConstraintMatcher? = nil
  ) {
    self.sequence = sequence
    self.tokenizer = tokenizer
    self.limit = limit
    sampler = Sampler(sampling)
    decoder = IncrementalDecoder(tokenizer, skipsSpecial: !showsControlTokens)
    stops = StopStrings(stopStrings)
    stopTokens = Set(stopStrings.compactMap(tokenizer.id(ofSpecial:)))
    self.matcher = matcher
    if limit == 0 { finish = .limit }
  }

  /// The stop string that ended the text.
  package var stopString: String? { stops.met ?? metToken.map(tokenizer.token) }

  /// Asks for the logits of the next token, to be accepted when they are there.
  ///
  /// - Returns: whether the text goes on.
  package func requestLogits() -> Bool {
    guard finish == nil else { return false }
    sequence.requestLogits()
    // The token behind the last guess comes in the same step.
    sequence.guess(limit: limit.map { $0 - generatedTokens - 1 } ?? .max)
    return true
  }

  /// Takes in the logits of the next token.
  ///
  /// - Returns: the text of the token, possibly empty.
  /// - Throws: `LanguageModelError` where there is no finite logit, `KVCacheError` where the memory has failed.
  package mutating func accept(_ logits: UnsafeMutableBufferPointer<Float>) throws -> String {
    precondition(finish == nil, "logits after the end of a text")
    // Behind the end nothing that was guessed stays.
    defer { if let finish { sequence.endTrial(lastWaits: finish == .limit || lastTokenStops) } }
    if let failure = sequence.memory.failure {
      finish = .cancelled
      throw failure
    }
    let token = try sample(logits)
    if tokenizer.endOfGeneration.contains(token) { return end(.endOfText) }
    if stopTokens.contains(token) {
      metToken = token
      return end(.stopString)
    }
    sequence.append(token)
    generatedTokens += 1
    let (text, stopped) = stops.append(decoder.append(token))
    if stopped {
      (finish, lastTokenStops) = (.stopString, true)
      return text
    }
    if generatedTokens == limit { return text + end(.limit) }
    return text
  }

  /// The next token, one that the constraint allows.
  private mutating func sample(_ logits: UnsafeMutableBufferPointer<Float>) throws -> Int32 {
    let isPossible = matcher?.mask(logits) ?? true
    let token = sampler.sample(logits, after: sequence.log)
    guard let token, isPossible, matcher?.accept(token) ?? true, matcher?.hasFailed != true else {
      finish = .cancelled
      throw matcher == nil ? LanguageModelError.noFiniteLogit : .constraintNotKept
    }
    return token
  }

  /// Ends the text where it is; what was to be read by then stays in the sequence.
  ///
  /// - Returns: text of tokens that were accepted, held back until now
  @discardableResult
  package mutating func cancel() -> String {
    guard finish == nil else { return "" }
    sequence.endTrial(lastWaits: true)
    return end(.cancelled)
  }

  /// Gives out what was held back.
  private mutating func end(_ reason: Finish) -> String {
    finish = reason
    let (text, _) = stops.append(decoder.finish())
    return text + stops.finish()
  }
}
