public import SessionStore

/// What became of taking up a stored session.
public struct Resumption: Sendable, Hashable {
  /// Tokens that need not be computed again.
  public let tokens: Int
  /// The tier that had them, `memory` or `disk`; nil where all are computed again.
  public let tier: String?
  /// Why all or the newest of them are computed again; nil where they were taken up.
  public let miss: Miss?

  /// - Parameter miss: why there are no more
  package static func hit(_ tokens: Int, from tier: String, _ miss: Miss? = nil) -> Self {
    Self(tokens: tokens, tier: tier, miss: miss)
  }
  package static func miss(_ miss: Miss) -> Self { Self(tokens: 0, tier: nil, miss: miss) }
}
