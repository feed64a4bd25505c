import SealingTestSupport
import Testing

@testable import SessionStore

@Suite struct KeyedHashTests {
  private func bytes(_ digits: String) throws -> [UInt8] {
    let digits = Array(digits)
    return try stride(from: 0, to: digits.count, by: 2).map {
      try #require(UInt8(String(digits[$0..<$0 + 2]), radix: 16))
    }
  }

  /// RFC 4231, cases 1, 2, 3 and 6, whose key is longer than a block.
  @Test func `keyed hashes are HMAC's`() throws {
    let cases: [(key: [UInt8], message: [UInt8], hash: String)] = [
      (
        [UInt8](repeating: 0x0b, count: 20), Array("Hi There".utf8),
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
      ),
      (
        Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
      ),
      (
        [UInt8](repeating: 0xaa, count: 20), [UInt8](repeating: 0xdd, count: 50),
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"
      ),
      (
        [UInt8](repeating: 0xaa, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
      ),
    ]
    for (index, known) in cases.enumerated() {
      #expect(try KeyedHash(key: known.key).hash(known.message) == bytes(known.hash), "case \(index)")
    }
  }

  /// RFC 5869, cases 1 and 3.
  @Test func `keys are derived as by HKDF`() throws {
    let key = [UInt8](repeating: 0x0b, count: 22)
    #expect(
      try KeyedHash.derive(from: key, salt: Array(0x00...0x0c), for: Array(0xf0...0xf9), count: 42)
        == bytes(
          "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"))
    #expect(
      try KeyedHash.derive(from: key, for: [], count: 42)
        == bytes(
          "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"))
  }

  @Test func `what follows from two keys, or for two purposes, has nothing in common`() throws {
    let seals = try (1...3).map { try TestSeal.double.seal(key: UInt8($0)) }
    let address = SectionAddress(high: 5, low: 6)
    let page = [UInt8](repeating: 7, count: 100)
    #expect(Set(seals.map(\.mark)).count == 3)
    #expect(Set(seals.map { $0.finder(9) } + [9]).count == 4)
    #expect(Set(seals.flatMap { [$0.address(address, of: "x"), $0.address(address, of: "y")] } + [address]).count == 7)
    let hashes = (seals.map(\.pageHash) + [PageHash()]).map { hash in page.withUnsafeBytes { hash.hash($0) } }
    #expect(Set(hashes).count == 4)
    let again = try TestSeal.double.seal(key: 1)
    #expect(again.mark == seals[0].mark && again.finder(9) == seals[0].finder(9))
    #expect(
      again.address(address, of: "x") == seals[0].address(address, of: "x") && again.pageHash == seals[0].pageHash)
  }
}
