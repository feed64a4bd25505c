/// Why something is computed again instead of taken up.
public enum Miss: Error, Sendable, Hashable, CustomStringConvertible {
  /// Nothing was stored under the name.
  case neverStored
  /// It had to make room for others.
  case evicted
  /// Nobody asked for it within its lifetime.
  case expired
  /// It was removed on request.
  case removed
  /// It belongs to other weights, another tokenizer or another cache.
  case otherModel(String)
  /// It was written by another version of the format.
  case otherVersion(Int)
  /// The text goes another way from a token on.
  case diverged(token: Int)
  /// It did not arrive in time.
  case timedOut
  /// Computing it again is faster than loading it.
  case slower
  /// It is sealed with another key, or with one where none was given, or the other way round.
  case sealed
  /// What was stored is damaged.
  case corrupt
  /// Whoever keeps the cache in other processes could not hand it out, or did not take it.
  case notTaken
  /// A tier did not answer, or answered with an error.
  case unavailable

  /// One word for headers and counters.
  public var code: String {
    switch self {
    case .neverStored: "never-stored"
    case .evicted: "evicted"
    case .expired: "expired"
    case .removed: "removed"
    case .otherModel: "other-model"
    case .otherVersion: "other-version"
    case .diverged: "diverged"
    case .timedOut: "timed-out"
    case .slower: "slower"
    case .sealed: "sealed"
    case .corrupt: "corrupt"
    case .notTaken: "not-taken"
    case .unavailable: "unavailable"
    }
  }

  public var description: String {
    switch self {
    case .neverStored: "nothing was stored under this name"
    case .evicted: "it had to make room for others"
    case .expired: "it was not used within its lifetime"
    case .removed: "it was removed"
    case .otherModel(let what): "it belongs to another \(what)"
    case .otherVersion(let version): "it was written in version \(version), this program reads \(Manifest.version)"
    case .diverged(let token): "the text goes another way from token \(token) on"
    case .timedOut: "it did not arrive in time"
    case .slower: "computing it again is faster than loading it"
    case .sealed: "it is sealed for another key, or for none"
    case .corrupt: "what was stored is damaged"
    case .notTaken: "the workers that keep the cache do not know snapshots, or did not take this one"
    case .unavailable: "the store did not answer"
    }
  }
}
