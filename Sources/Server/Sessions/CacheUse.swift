import ModelJSON
import SessionStore

/// What of a prompt did not have to be read, and from where, or why all of it had to.
struct CacheUse: Sendable, Hashable {
  /// `active` for a memory that waited in the server, else the tier of the store; nil where all was read.
  var tier: String?
  var tokens = 0
  var miss: Miss?

  static func hit(_ tokens: Int, from tier: String) -> Self { Self(tier: tier, tokens: tokens) }
  static func miss(_ miss: Miss) -> Self { Self(miss: miss) }

  /// The field `x-sluice-cache` of an answer: `hit; tier=disk; tokens=57`, `miss; reason=diverged; token=12`.
  var header: String {
    if let tier { return "hit; tier=\(tier); tokens=\(tokens)" }
    if case .diverged(let token) = miss { return "miss; reason=diverged; token=\(token)" }
    return "miss; reason=\((miss ?? .neverStored).code)"
  }

  var headers: [String: String] { ["x-sluice-cache": header] }

  /// The member `cache` of an answer's `usage`.
  var json: JSONValue {
    guard let tier else {
      var members = JSONObject()
      members["reason"] = .string((miss ?? .neverStored).code)
      if case .diverged(let token) = miss { members["token"] = JSONValue(token) }
      return .object(members)
    }
    return ["tier": .string(tier)]
  }
}
