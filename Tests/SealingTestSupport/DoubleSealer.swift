import Kernels
import SessionStore

/// Seals as AES-GCM does, with a nonce in front and a tag behind, by what is at hand: a stream of pseudo-random words and a keyed hash.
package struct DoubleSealer: Sealer {
  package let overhead = 12 + 16
  private let hash: KeyedHash

  package init(key: [UInt8]) { hash = KeyedHash(key: key) }

  package func seal(_ bytes: UnsafeRawBufferPointer, for place: [UInt8]) -> [UInt8] {
    let nonce = (0..<12).map { _ in UInt8.random(in: .min ... .max) }
    let hidden = mixed(Array(bytes), nonce)
    return nonce + hidden + tag(nonce, hidden, place)
  }

  package func open(
    _ sealed: UnsafeRawBufferPointer, for place: [UInt8], into target: UnsafeMutableRawBufferPointer
  ) -> Bool {
    guard sealed.count == target.count + overhead else { return false }
    let (nonce, hidden) = (Array(sealed.prefix(12)), Array(sealed.dropFirst(12).dropLast(16)))
    guard Array(sealed.suffix(16)) == tag(nonce, hidden, place) else { return false }
    target.copyBytes(from: mixed(hidden, nonce))
    return true
  }

  private func mixed(_ bytes: [UInt8], _ nonce: [UInt8]) -> [UInt8] {
    let seed = hash.hash(nonce).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    var random = SplitMix64(seed: seed)
    var result = bytes
    for first in stride(from: 0, to: bytes.count, by: 8) {
      let word = random.next()
      for index in first..<min(first + 8, bytes.count) {
        result[index] ^= UInt8(truncatingIfNeeded: word >> (8 * UInt64(index - first)))
      }
    }
    return result
  }

  private func tag(_ nonce: [UInt8], _ hidden: [UInt8], _ place: [UInt8]) -> [UInt8] {
    let length = withUnsafeBytes(of: UInt64(place.count).littleEndian) { Array($0) }
    return Array(hash.hash(length + place + nonce + hidden).prefix(16))
  }
}
