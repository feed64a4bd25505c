/// Encrypts bytes so that only who has the key can read them, and finds out where they were changed or moved.
///
/// The real one is `AESSealer`, in builds with the trait `Sealing`.
package protocol Sealer: Sendable {
  /// Bytes by which what is sealed is longer.
  var overhead: Int { get }
  /// - Parameter place: what it is opened with again, not part of the result
  func seal(_ bytes: UnsafeRawBufferPointer, for place: [UInt8]) -> [UInt8]
  /// Writes what was sealed for a place to memory of as many bytes as it had.
  ///
  /// - Returns: false where it was sealed with another key or for another place, or is not what it was; the memory then holds
  ///   nothing of it.
  func open(_ sealed: UnsafeRawBufferPointer, for place: [UInt8], into target: UnsafeMutableRawBufferPointer) -> Bool
}

/// Which key a store is sealed with: 16 bytes that tell keys apart and nothing of them.
package struct SealMark: Sendable, Hashable {
  static let byteCount = 16
  let bytes: [UInt8]
}

/// Why a store is not for whoever opens it.
package enum SealMismatch: Sendable, Hashable, CustomStringConvertible {
  case noKey
  case notSealed
  case otherKey

  /// - Parameters:
  ///   - own: the mark of whoever asks; nil where there is no key
  ///   - manifest: the start of an item's, at least `Manifest.startBytes` of it; one that is damaged matches anything
  package init?(of own: SealMark?, with manifest: [UInt8]) {
    switch Manifest.start(manifest) {
    case .unknown: return nil
    case .notSealed: self.init(of: own, with: nil as SealMark?)
    case .mark(let there): self.init(of: own, with: there)
    }
  }

  /// The same for whoever wants to write a manifest where there is another one.
  package init?(of own: Manifest, with manifest: [UInt8]) { self.init(of: own.seal?.mark, with: manifest) }

  init?(of own: SealMark?, with there: SealMark?) {
    guard own != there else { return nil }
    self = own == nil ? .noKey : there == nil ? .notSealed : .otherKey
  }

  package var description: String {
    switch self {
    case .noKey: "the stored sessions are sealed; give their key (--session-key FILE)"
    case .notSealed: "the stored sessions are not sealed; leave the key out, or give another store"
    case .otherKey: "the stored sessions are sealed with another key"
    }
  }
}
