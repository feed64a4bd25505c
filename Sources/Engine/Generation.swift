package import Tokenizers

/// Writes text: samples a token, gives out its text, and feeds it back, one token a call.
///
/// Limits count generated tokens, never positions. Text is given out in whole characters only, and what may be the start
/// of a stop string is held back until it is clear.
package struct Generation {
  /// Why a text ended.
  package enum Finish: Sendable, Hashable {
    /// The model ended its text.
    case endOfText
    /// A stop string came up.
    case stopString
    /// As many tokens as were asked for.
    case limit
    /// The caller stopped it.
    case cancelled
  }

  private let stream: TokenStream
  private let tokenizer: Tokenizer
  private let limit: Int?
  private var sampler: Sampler
  private var decoder: IncrementalDecoder
  private var stops: StopStrings
  /// Tokens generated so far, the end token not counted.
  package private(set) var generatedTokens = 0
  package private(set) var finish: Finish?

  /// - Parameters:
  ///   - limit: the most tokens, nil for no limit
  ///   - sampling: without `problem`
  package init(
    _ stream: TokenStream, tokenizer: Tokenizer, sampling: SamplingOptions, stopStrings: [String] = [],
    limit: Int? = nil
  ) {
    self.stream = stream
    self.tokenizer = tokenizer
    self.limit = limit
    sampler = Sampler(sampling)
    decoder = IncrementalDecoder(tokenizer)
    stops = StopStrings(stopStrings)
    if limit == 0 { finish = .limit }
  }

  /// The text of the next token, possibly empty, or nil once the text has ended.
  ///
  /// - Parameter proceeds: asked between the chunks of a long prompt; false ends the text as cancelled.
  /// - Throws: `LanguageModelError` where the model gives no finite logit.
  package mutating func next(while proceeds: () -> Bool = { true }) throws(LanguageModelError) -> String? {
    guard finish == nil else { return nil }
    guard proceeds(), let logits = stream.logits(afterChunk: proceeds) else { return end(.cancelled) }
    guard let token = sampler.sample(logits, after: stream.log) else { throw .noFiniteLogit }
    if tokenizer.endOfGeneration.contains(token) { return end(.endOfText) }
    stream.append(token)
    generatedTokens += 1
    let (text, stopped) = stops.append(decoder.append(token))
    if stopped {
      finish = .stopString
      return text
    }
    if generatedTokens == limit { return text + end(.limit) }
    return text
  }

  /// Gives out what was held back.
  private mutating func end(_ reason: Finish) -> String {
    finish = reason
    guard reason != .cancelled else { return "" }
    let (text, _) = stops.append(decoder.finish())
    return text + stops.finish()
  }
}
