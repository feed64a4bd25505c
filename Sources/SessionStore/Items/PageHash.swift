/// A hash of 64 bits over the bytes of a page, by which unchanged pages are left out of a save and damaged ones are found.
///
/// Products of 64-bit words folded to one, as wyhash (github.com/wangyi-fudan/wyhash) introduced them, over four
/// independent lanes: memory is the bound. It tells accidents apart, and forgeries only where its keys are a secret.
package struct PageHash: Sendable, Hashable {
  private let keys: SIMD4<UInt64>

  /// That of stores that are not sealed.
  package init() {
    keys = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93]
  }

  /// One for which nobody who does not know the secret can find two pages with the same hash.
  ///
  /// - Parameter secret: 32 random bytes
  init(secret: [UInt8]) {
    precondition(secret.count == 32, "a secret of another length")
    keys = secret.withUnsafeBytes { bytes in
      var keys = SIMD4<UInt64>()
      for lane in 0..<4 {
        keys[lane] = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * lane, as: UInt64.self))
      }
      return keys
    }
  }

  func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var lanes = keys
    var offset = 0
    if let base = bytes.baseAddress {
      while offset + 64 <= bytes.count {
        for lane in 0..<4 { lanes[lane] = mixed(base, offset + 16 * lane, lanes[lane]) }
        offset += 64
      }
    }
    if offset < bytes.count {
      withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { rest in
        rest.initializeMemory(as: UInt8.self, repeating: 0)
        rest.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
        guard let base = rest.baseAddress else { return }
        for lane in 0..<4 { lanes[lane] = mixed(UnsafeRawPointer(base), 16 * lane, lanes[lane]) }
      }
    }
    let length = UInt64(bytes.count)
    return Self.folded(
      Self.folded(lanes[0] ^ length, lanes[1] ^ keys[2]), Self.folded(lanes[2] ^ keys[0], lanes[3] ^ keys[1]))
  }

  /// A lane after 16 bytes more.
  @inline(__always)
  private func mixed(_ base: UnsafeRawPointer, _ offset: Int, _ lane: UInt64) -> UInt64 {
    let first = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    let second = UInt64(littleEndian: base.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
    return Self.folded(first ^ keys[1], second ^ lane)
  }

  @inline(__always)
  private static func folded(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }
}
