#if Sealing
  import Crypto
  import Foundation

  /// AES-GCM (NIST SP 800-38D) with a random nonce of 96 bits in front of each result and the tag of 128 bits behind it.
  ///
  /// By swift-crypto. Of 2^32 pages, which are 64 TiB, two have the same nonce with a chance of 2^-33.
  package struct AESSealer: Sealer {
    package let overhead = 12 + 16
    private let key: SymmetricKey

    package init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    package func seal(_ bytes: UnsafeRawBufferPointer, for place: [UInt8]) -> [UInt8] {
      // A key of 32 bytes and a nonce of 12 leave nothing that can fail.
      guard let box = try? AES.GCM.seal(bytes, using: key, authenticating: place), let combined = box.combined else {
        preconditionFailure("AES-GCM refuses its own nonce")
      }
      return Array(combined)
    }

    package func open(
      _ sealed: UnsafeRawBufferPointer, for place: [UInt8], into target: UnsafeMutableRawBufferPointer
    ) -> Bool {
      guard sealed.count == target.count + overhead, let box = try? AES.GCM.SealedBox(combined: sealed),
        let bytes = try? AES.GCM.open(box, using: key, authenticating: place)
      else { return false }
      bytes.copyBytes(to: target)
      return true
    }
  }
#endif
