import Kernels

/// HMAC (RFC 2104) with SHA-256: a hash that nobody can compute, or compare with one of a guess, without the key.
package struct KeyedHash: Sendable {
  private static let blockBytes = 64
  /// The key, padded to a block.
  private let key: [UInt8]

  package init(key: [UInt8]) {
    let short = key.count > Self.blockBytes ? SHA256.digest(of: [key]) : key
    self.key = short + [UInt8](repeating: 0, count: Self.blockBytes - short.count)
  }

  /// 32 bytes.
  package func hash(_ message: [UInt8]) -> [UInt8] {
    SHA256.digest(of: [key.map { $0 ^ 0x5c }, SHA256.digest(of: [key.map { $0 ^ 0x36 }, message])])
  }

  /// Bytes that follow from a key and what they are for, and tell nothing of either or of each other: HKDF (RFC 5869) with SHA-256.
  ///
  /// - Parameters:
  ///   - key: bytes that nobody knows
  ///   - salt: bytes that anybody may know
  ///   - count: at most 8,160
  package static func derive(from key: [UInt8], salt: [UInt8] = [], for purpose: [UInt8], count: Int) -> [UInt8] {
    let extracted = KeyedHash(key: KeyedHash(key: salt).hash(key))
    var (result, block) = ([UInt8](), [UInt8]())
    for number in 1...max(1, (count + 31) / 32) {
      block = extracted.hash(block + purpose + [UInt8(number)])
      result += block
    }
    return Array(result.prefix(count))
  }
}

extension SHA256 {
  fileprivate static func digest(of parts: [[UInt8]]) -> [UInt8] {
    var hash = SHA256()
    for part in parts { part.withUnsafeBytes { hash.update($0) } }
    return hash.finalize()
  }
}
