import ModelJSON
import SessionStore

/// What of a prompt did not have to be read, and from where, or why all of it had to.
struct CacheUse: Sendable, Hashable {
  /// `active` for a memory that waited in the server, else the tier of the store; nil where all was read.
  var tier: String?
  var tokens = 0
  /// Why all or a part of what was stored is read again.
  var miss: Miss?

  static func hit(_ tokens: Int, from tier: String) -> Self { Self(tier: tier, tokens: tokens) }
  static func miss(_ miss: Miss) -> Self { Self(miss: miss) }

  /// The field `x-sluice-cache` of an answer: `hit; tier=disk; tokens=57`, `miss; reason=diverged; token=12`, or of both.
  var header: String {
    guard let tier else { return "miss; " + Self.reason(miss ?? .neverStored) }
    return "hit; tier=\(tier); tokens=\(tokens)" + (miss.map { "; " + Self.reason($0) } ?? "")
  }

  private static func reason(_ miss: Miss) -> String {
    if case .diverged(let token) = miss { return "reason=diverged; token=\(token)" }
    return "reason=\(miss.code)"
  }

  var headers: [String: String] { ["x-sluice-cache": header] }

  /// The member `cache` of an answer's `usage`.
  var json: JSONValue {
    var members = JSONObject()
    if let tier { members["tier"] = .string(tier) }
    if let miss = miss ?? (tier == nil ? .neverStored : nil) {
      members["reason"] = .string(miss.code)
      if case .diverged(let token) = miss { members["token"] = JSONValue(token) }
    }
    return .object(members)
  }
}
