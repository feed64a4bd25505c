/// How a session writes a response.
public struct GenerationOptions: Sendable, Hashable {
  /// How tokens are chosen.
  public var sampling: SamplingOptions
  /// The most tokens of the response; nil ends it only where the model does.
  public var maximumResponseTokens: Int?
  /// Texts that end the response; they are not part of it.
  public var stopStrings: [String]
  /// What the response must be; nil where it is free.
  package var constraint: AnswerConstraint?

  public init(
    sampling: SamplingOptions = SamplingOptions(), maximumResponseTokens: Int? = nil, stopStrings: [String] = []
  ) {
    self.sampling = sampling
    self.maximumResponseTokens = maximumResponseTokens
    self.stopStrings = stopStrings
  }

  /// Checked where options enter, so that nothing later has to.
  func check() throws(LanguageModelError) {
    if let problem = sampling.problem { throw .badOptions(problem) }
    if let limit = maximumResponseTokens, limit < 0 {
      throw .badOptions("the most tokens of a response must be 0 or more, but are \(limit)")
    }
  }
}
