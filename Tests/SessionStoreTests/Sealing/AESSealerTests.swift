#if Sealing
  import Testing

  @testable import SessionStore

  @Suite struct AESSealerTests {
    private func bytes(_ digits: String) throws -> [UInt8] {
      let digits = Array(digits)
      return try stride(from: 0, to: digits.count, by: 2).map {
        try #require(UInt8(String(digits[$0..<$0 + 2]), radix: 16))
      }
    }

    private func open(_ sealed: [UInt8], _ place: [UInt8], _ sealer: AESSealer) -> [UInt8]? {
      var target = [UInt8](repeating: 0, count: max(0, sealed.count - sealer.overhead))
      let isWhole = target.withUnsafeMutableBytes { target in
        sealed.withUnsafeBytes { sealer.open($0, for: place, into: target) }
      }
      return isWhole ? target : nil
    }

    /// Test case 16 of D. McGrew and J. Viega, The Galois/Counter Mode of Operation.
    @Test func `what others have sealed is opened`() throws {
      let sealer = try AESSealer(key: bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
      let place = try bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2")
      let plain = try bytes(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39")
      let sealed = try bytes(
        "cafebabefacedbaddecaf888"
          + "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
          + "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
          + "76fc6ece0f4e1768cddf8853bb2d551b")
      #expect(open(sealed, place, sealer) == plain)
      for index in sealed.indices {
        for bit in 0..<8 {
          var damaged = sealed
          damaged[index] ^= 1 << UInt8(bit)
          #expect(open(damaged, place, sealer) == nil, "bit \(bit) of byte \(index)")
        }
      }
      for index in place.indices {
        var other = place
        other[index] ^= 1
        #expect(open(sealed, other, sealer) == nil, "another place, byte \(index)")
      }
      for length in 0..<sealed.count { #expect(open(Array(sealed[..<length]), place, sealer) == nil, "\(length)") }
    }

    @Test func `what is sealed twice has two nonces, and both are opened`() throws {
      let sealer = AESSealer(key: Array(1...32))
      for count in [0, 1, 15, 16, 17, 16_256] {
        let plain = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let sealed = (0..<2).map { _ in plain.withUnsafeBytes { sealer.seal($0, for: [1]) } }
        #expect(sealed[0].prefix(12) != sealed[1].prefix(12) && sealed[0].count == count + sealer.overhead)
        for box in sealed { #expect(open(box, [1], sealer) == plain && open(box, [2], sealer) == nil, "\(count)") }
      }
    }
  }
#endif
