import Kernels
import Testing

/// SHA-256 against Python's hashlib (`Scripts/record-digests.py`), by the CPU's instructions and in plain C.
@Suite struct SHA256Tests {
  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 256 + 3) } }

  private func digest(_ bytes: [UInt8], pieces: Int, portable: Bool) -> [UInt8] {
    var hash = SHA256(portable: portable)
    for start in stride(from: 0, to: bytes.count, by: pieces) {
      bytes[start..<min(bytes.count, start + pieces)].withUnsafeBytes { hash.update($0) }
    }
    return hash.finalize()
  }

  private func text(_ digest: [UInt8]) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }

  @Test(arguments: Self.recorded)
  func `the digest of a length, in pieces of any size`(count: Int, expected: String) {
    for portable in [false, true] {
      for pieces in [1, 7, 63, 64, 65, 128, 1000, 100_000] {
        let found = text(digest(bytes(count), pieces: pieces, portable: portable))
        #expect(found == expected, "in pieces of \(pieces), portable \(portable)")
      }
    }
  }

  @Test(arguments: [false, true])
  func `the digests of all lengths to 320`(portable: Bool) {
    let digests = (0...320).flatMap { digest(bytes($0), pieces: 1000, portable: portable) }
    #expect(text(digest(digests, pieces: 1000, portable: portable)) == Self.all)
  }

  private static let all = "40322bfd4659fed0cc74771944daa88f849006b77ebf1298143c8c66aa7d09d7"
  private static let recorded = [
    (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    (1, "084fed08b978af4d7d196a7446a86b58009e636b611db16211b65a9aadff29c5"),
    (2, "323b730f87b4e7cc0948351a1c11b757b3026cda6784282576757bca21f12483"),
    (3, "6ab0dba1f4f1dfbb37b4f9eeb092c09fca4900ad32bdcd147d8dde35d6c87c35"),
    (54, "160bbf14b458c877b7049e7cb5771dd653930f97d20bdd8ee795c16062906233"),
    (55, "e7313d333c272e639f790978283f9eb392e843d0f29b7016828bb1daa4aac70b"),
    (56, "4324d65f3c103567f5589c710bc08f8523f929a9272e3af36fc968e52abc6c27"),
    (57, "35df609437dcfea3279283ab79fd554e2bf78f8f7ae2de532d8ee300b09e8f73"),
    (63, "81c80242132f230c3bd41b3e63bbcff16107339549214a99614ff26664625055"),
    (64, "39e3d7b6b5d075d37d053ad89b24b41bef4f3c29760c84447cab3f3be1882241"),
    (65, "aacca6ff74fdbb296d165a45cecfa04e5127bc008770fbbdd48006f2d2fae95e"),
    (111, "67d9492e628fd376e0b2efec8ca2b99b123e202cf620deb270728df979b2f73e"),
    (119, "9ce7368e4daf32341631b492e80359dc9f594b48453cd0dd5bf0b19279cc177e"),
    (120, "7836b787757e95e58b3ca5aec90b1b004e8deba1e50e9675af9cabf1a13a04b5"),
    (127, "a8d23e75d936f303d248888d9b165ee543f4cbafcad3c9dd2a79bd84faa11d07"),
    (128, "d2742f1f4ac6bb7ca2b239ee18402ba8b3f9f8e652d2a72973c2b9ba11c08cf6"),
    (129, "307f8fc2c1622b92762e818d39a185d4d667ad49a4b07ceae1f4afa008a93ec4"),
    (1000, "38cd85c44b4b86c5b78d18a9acd6f49de7614cdbf0149069dc868882805f9740"),
    (4095, "214f453067ee9dfa35419467e02f33267acd1483b40a12105b90d606f08f2aec"),
    (4096, "2c23be02565376d8177c355109ee371a4a90a361648738ab26f752765f64e840"),
    (4097, "8b643a8993ae368e6de07d8eb66234938816cf621a3f9aadfe1f439fb88a874d"),
    (65537, "0518bcb1e793dbc96ac9f565d26436c7a037fd2d032047084f9146db32126fa5"),
  ]
}
