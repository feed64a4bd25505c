public import SessionStore

/// What became of taking up a stored session.
public struct Resumption: Sendable, Hashable {
  /// Tokens that need not be computed again.
  public let tokens: Int
  /// The tier that had them, `memory` or `disk`; nil where they are computed again.
  public let tier: String?
  /// Why they are computed again; nil where they were taken up.
  public let miss: Miss?

  package static func hit(_ tokens: Int, from tier: String) -> Self { Self(tokens: tokens, tier: tier, miss: nil) }
  package static func miss(_ miss: Miss) -> Self { Self(tokens: 0, tier: nil, miss: miss) }
}
