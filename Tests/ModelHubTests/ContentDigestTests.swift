import ModelHub
import Testing

/// Digests against those that Git and Python's hashlib compute (`Scripts/record-digests.py`).
@Suite struct ContentDigestTests {
  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 256 + 3) } }

  @Test(arguments: Self.recorded)
  func `Git's name of a content`(count: Int, name: String) throws {
    for piece in [1, 63, 64, 65, 1000] {
      var hasher = ContentHasher(like: .gitBlob(name), size: count)
      let bytes = bytes(count)
      for start in stride(from: 0, to: count, by: piece) {
        bytes[start..<min(count, start + piece)].withUnsafeBytes { hasher.update($0) }
      }
      #expect(hasher.finalize() == .gitBlob(name), "in pieces of \(piece)")
    }
  }

  private static let recorded = [
    (0, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
    (1, "fc2b5693e00bdbea3f74ac60459b1df43c295356"),
    (2, "a055e7807c2d25578f328bdb132a8935189f9e38"),
    (3, "1badf2051cdca3ef7c2f6b5eebcf7474ca43879e"),
    (54, "527d90f67ebf6ec198169c48d7b25e43892528c7"),
    (55, "1abe178a5e7d928b8cf998ad8479d32f2a5a50c1"),
    (56, "1d9a2224c862e8d1d2c222a7743e7e90522e8979"),
    (57, "90c4ea9afe58b2d71fe02c3059c077ad5ef48a03"),
    (63, "ae8df5ff9be67a8d83e29f107b4f65608503aff1"),
    (64, "7a750f53f0d82924d58e4994486faa24db9a1cbc"),
    (65, "996d36b8af0df3c01f859b2d2d55e4fac47f6659"),
    (111, "b2a6f6fd873cd74c29339c9e72349231bffe0fec"),
    (119, "ed5cf336e9d28fc71f8bf11b05520c63a23e083a"),
    (120, "d4ffa4b455d65886892e4637177028134070d0d8"),
    (127, "43a45c2ad8ebbc9c8fde41b7118071e37443021b"),
    (128, "1e109a5610eb13fee375ab33b77ab2ebfa28baa5"),
    (129, "29b6ab6e5d58b9f47908ed271af81ef9c98e1bde"),
    (1000, "9e9eb0f86c9a0e46842e8f4c3c67acc6a3dc5ae4"),
    (4095, "d20ec0b105bd68a103b9fe99a3db9166027be90c"),
    (4096, "5313d6a2e113abe70175e6d7cb1d643444bfe8e3"),
    (4097, "465420808e33e1434914c71cd8b9309c5ec57d98"),
    (65537, "7760c54bdcb3359c4cf4ee52121c0d852573f32f"),
  ]
}
