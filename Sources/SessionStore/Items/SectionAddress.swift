import KVCaches
import Kernels

/// What a settled section holds, as a number: an owner's items that hold the same keep it once.
///
/// The first half of a SHA-256 over the item's fingerprint, the section's name, and lengths and hashes of its pages.
package struct SectionAddress: Sendable, Hashable {
  package let high: UInt64
  package let low: UInt64

  init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

  init(_ section: StoredSection, _ fingerprint: Fingerprint) {
    var hash = SHA256()
    for text in [fingerprint.model, fingerprint.tokenizer, fingerprint.cache, section.name.state] {
      hash.update(UInt64(text.utf8.count))
      Array(text.utf8).withUnsafeBytes { hash.update($0) }
    }
    for number in [section.name.group, section.name.layer, section.name.block] {
      hash.update(UInt64(bitPattern: Int64(number)))
    }
    for part in section.parts {
      hash.update(UInt64(part.bytes))
      for page in part.hashes { hash.update(page) }
    }
    self.init(digest: hash.finalize())
  }

  /// The first half of a digest.
  init(digest: [UInt8]) {
    high = digest[..<8].reduce(0) { $0 << 8 | UInt64($1) }
    low = digest[8..<16].reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// 32 hexadecimal digits.
  package var text: String { [high, low].map { Self.digits($0) }.joined() }

  private static func digits(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}

extension SHA256 {
  fileprivate mutating func update(_ number: UInt64) { withUnsafeBytes(of: number.littleEndian) { update($0) } }
}
