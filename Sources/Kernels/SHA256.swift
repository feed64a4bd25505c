import CKernels

/// SHA-256 (FIPS 180-4) of bytes that come in pieces.
///
/// By the CPU's instructions where x86-64 has them, else in plain C, which takes six times as long.
package struct SHA256: Sendable {
  private var state: [UInt32] = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
  ]
  /// What does not fill a block yet.
  private var rest: [UInt8] = []
  private var byteCount: UInt64 = 0
  private let usesInstructions: Bool

  private static let hasInstructions = sluice_has_sha256() != 0

  /// - Parameter portable: computes in plain C whatever the CPU has, for comparison
  package init(portable: Bool = false) {
    usesInstructions = Self.hasInstructions && !portable
    rest.reserveCapacity(64)
  }

  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    byteCount &+= UInt64(bytes.count)
    var bytes = bytes
    if !rest.isEmpty {
      let count = min(64 - rest.count, bytes.count)
      rest.append(contentsOf: bytes.prefix(count))
      bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(count))
      guard rest.count == 64 else { return }
      let block = rest
      block.withUnsafeBytes { take($0, blocks: 1) }
      rest.removeAll(keepingCapacity: true)
    }
    let blocks = bytes.count / 64
    if blocks > 0 { take(bytes, blocks: blocks) }
    rest.append(contentsOf: bytes.dropFirst(blocks * 64))
  }

  /// The digest of all bytes so far, 32 bytes.
  package consuming func finalize() -> [UInt8] {
    let bits = byteCount &* 8
    var padding: [UInt8] = [0x80]
    padding += [UInt8](repeating: 0, count: (119 - rest.count) % 64)
    for shift in stride(from: 56, through: 0, by: -8) { padding.append(UInt8(truncatingIfNeeded: bits >> shift)) }
    padding.withUnsafeBytes { update($0) }
    assert(rest.isEmpty, "the padding ends a block")
    return state.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }
  }

  private mutating func take(_ bytes: UnsafeRawBufferPointer, blocks: Int) {
    state.withUnsafeMutableBufferPointer { state in
      if usesInstructions {
        sluice_sha256(state.baseAddress, bytes.baseAddress, blocks)
      } else {
        sluice_sha256_portable(state.baseAddress, bytes.baseAddress, blocks)
      }
    }
  }
}
