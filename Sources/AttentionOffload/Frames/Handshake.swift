import Kernels

/// That both sides know the same key, without saying it: each answers the other's random number with an HMAC-SHA256
/// (RFC 2104) of both numbers.
///
/// Who listens between the two can neither learn the key nor answer in its place; frames behind the handshake are neither
/// encrypted nor signed.
package struct Handshake: Sendable {
  package static let nonceSize = 32
  package static let proofSize = 32
  private static let clientRole: [UInt8] = Array("sluice attention client".utf8)
  private static let workerRole: [UInt8] = Array("sluice attention worker".utf8)

  private let key: [UInt8]

  package init(key: OffloadKey) { self.key = key.bytes }

  /// What the client answers.
  package func clientProof(workerNonce: [UInt8], clientNonce: [UInt8]) -> [UInt8] {
    Self.authenticationCode(Self.clientRole + workerNonce + clientNonce, key: key)
  }

  /// What the worker answers.
  package func workerProof(workerNonce: [UInt8], clientNonce: [UInt8]) -> [UInt8] {
    Self.authenticationCode(Self.workerRole + clientNonce + workerNonce, key: key)
  }

  /// A number that nobody can guess.
  package static func nonce() -> [UInt8] {
    var random = SystemRandomNumberGenerator()
    return (0..<nonceSize).map { _ in UInt8.random(in: .min ... .max, using: &random) }
  }

  /// Whether two codes are equal, in a time that does not tell where they differ.
  package static func areEqual(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    guard a.count == b.count else { return false }
    var difference: UInt8 = 0
    for index in a.indices { difference |= a[index] ^ b[index] }
    return difference == 0
  }

  /// HMAC-SHA256.
  package static func authenticationCode(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
    let blockSize = 64
    var block = key.count > blockSize ? digest([key]) : key
    block += [UInt8](repeating: 0, count: blockSize - block.count)
    let inner = digest([block.map { $0 ^ 0x36 }, message])
    return digest([block.map { $0 ^ 0x5C }, inner])
  }

  private static func digest(_ parts: [[UInt8]]) -> [UInt8] {
    var hash = SHA256()
    for part in parts { part.withUnsafeBytes { hash.update($0) } }
    return hash.finalize()
  }
}

/// What both sides of a connection know.
package struct OffloadKey: Sendable {
  let bytes: [UInt8]

  /// The fewest bytes of a key.
  package static let smallest = 16

  /// - Throws: `OffloadError.badSetting` where it is too short to be a secret.
  package init(_ bytes: [UInt8]) throws(OffloadError) {
    guard bytes.count >= Self.smallest else {
      throw .badSetting("a worker's key needs at least \(Self.smallest) bytes, but has \(bytes.count)")
    }
    self.bytes = bytes
  }

  /// A key as a file holds it; space around it does not count.
  package init(text: [UInt8]) throws(OffloadError) {
    let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
    let trimmed = text.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
    try self.init(Array(trimmed))
  }
}
