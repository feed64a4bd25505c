import Kernels

/// What a hub says of a file's bytes: SHA-256 of a large file, Git's name of a small one.
package enum ContentDigest: Sendable, Hashable {
  case sha256(String)
  /// SHA-1 over `blob SIZE`, a zero byte and the content.
  case gitBlob(String)

  /// Hexadecimal digits in lower case.
  package var text: String {
    switch self {
    case .sha256(let text), .gitBlob(let text): text
    }
  }

  /// A digest by its digits, 64 or 40 of them; nil for anything else.
  init?(_ digits: String) {
    let text = digits.lowercased()
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else { return nil }
    switch text.utf8.count {
    case 64: self = .sha256(text)
    case 40: self = .gitBlob(text)
    default: return nil
    }
  }
}

/// The digest of a file whose bytes come in pieces.
package struct ContentHasher {
  private enum State {
    case sha256(SHA256)
    case gitBlob(SHA1)
  }

  private var state: State

  /// - Parameter size: all bytes that will come, which Git's name depends on
  package init(like digest: ContentDigest, size: Int) {
    switch digest {
    case .sha256: state = .sha256(SHA256())
    case .gitBlob:
      var hash = SHA1()
      Array("blob \(size)\0".utf8).withUnsafeBytes { hash.update($0) }
      state = .gitBlob(hash)
    }
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    switch state {
    case .sha256(var hash):
      hash.update(bytes)
      state = .sha256(hash)
    case .gitBlob(var hash):
      hash.update(bytes)
      state = .gitBlob(hash)
    }
  }

  package func finalize() -> ContentDigest {
    switch state {
    case .sha256(let hash): .sha256(Self.hexadecimal(hash.finalize()))
    case .gitBlob(let hash): .gitBlob(Self.hexadecimal(hash.finalize()))
    }
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
