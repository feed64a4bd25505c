/// SHA-1 (FIPS 180-4), by which Git names content: against damage on the way, not against an attacker.
struct SHA1 {
  private var state: [UInt32] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
  private var rest: [UInt8] = []
  private var byteCount: UInt64 = 0

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    byteCount &+= UInt64(bytes.count)
    var bytes = bytes
    if !rest.isEmpty {
      let count = min(64 - rest.count, bytes.count)
      rest.append(contentsOf: bytes.prefix(count))
      bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(count))
      guard rest.count == 64 else { return }
      rest.withUnsafeBytes { take($0) }
      rest.removeAll(keepingCapacity: true)
    }
    while bytes.count >= 64 {
      take(UnsafeRawBufferPointer(rebasing: bytes.prefix(64)))
      bytes = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(64))
    }
    rest.append(contentsOf: bytes)
  }

  consuming func finalize() -> [UInt8] {
    let bits = byteCount &* 8
    var padding: [UInt8] = [0x80]
    padding += [UInt8](repeating: 0, count: (119 - rest.count) % 64)
    for shift in stride(from: 56, through: 0, by: -8) { padding.append(UInt8(truncatingIfNeeded: bits >> shift)) }
    padding.withUnsafeBytes { update($0) }
    return state.flatMap { word in [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: word >> $0) } }
  }

  private mutating func take(_ block: UnsafeRawBufferPointer) {
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 80) { schedule in
      for index in 0..<16 {
        schedule[index] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
      }
      for index in 16..<80 {
        let word = schedule[index - 3] ^ schedule[index - 8] ^ schedule[index - 14] ^ schedule[index - 16]
        schedule[index] = word << 1 | word >> 31
      }
      var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
      for index in 0..<80 {
        let mixed: UInt32
        switch index / 20 {
        case 0: mixed = ((b & c) | (~b & d)) &+ 0x5a82_7999
        case 1: mixed = (b ^ c ^ d) &+ 0x6ed9_eba1
        case 2: mixed = ((b & c) | (b & d) | (c & d)) &+ 0x8f1b_bcdc
        default: mixed = (b ^ c ^ d) &+ 0xca62_c1d6
        }
        let next = (a << 5 | a >> 27) &+ mixed &+ e &+ schedule[index]
        (e, d, c, b, a) = (d, c, b << 30 | b >> 2, a, next)
      }
      state[0] &+= a
      state[1] &+= b
      state[2] &+= c
      state[3] &+= d
      state[4] &+= e
    }
  }
}
