package import KVCaches
package import Kernels

extension KVCache {
  /// Brings the cache to where `tokens` more tokens would have brought it, without computing them.
  ///
  /// Counters and memory are those of a real feed; every used slot holds a pseudo-random key and value between -1 and 1.
  /// For measurements at a depth: the time of a step does not depend on the values.
  package func fill(tokens: Int, kernels: InstructionSet) {
    precondition(tokens >= 0, "a negative count of tokens")
    var left = tokens
    while left > 0 {
      let chunk = admissibleChunk(min(left, 512))
      beginStep(tokens: chunk)
      left -= chunk
    }
    let (noise, reader) = (Self.noise(count: 4096 + largestHead, seed: 1), SlotReader(self))
    var next = 0
    let nextPair = {
      defer { next = (next + 61) % 4096 }
      return (key: UnsafePointer(noise.pointer + next), value: UnsafePointer(noise.pointer + (next + 2048) % 4096))
    }
    for (layer, attention) in attention.enumerated() {
      for head in 0..<attention.keyValueHeads {
        reader.forEachBlock(layer: layer, head: head) { slots, used, _ in
          for slot in used {
            let pair = nextPair()
            kernels.writeKey(pair.key, to: slot, of: slots)
            kernels.writeValue(pair.value, to: slot, of: slots)
          }
        }
      }
    }
    reader.absorb(kernels, next: nextPair)
    reader.didWrite()
  }

  private var largestHead: Int { attention.reduce(0) { max($0, $1.headDim) } }

  /// Numbers between -1 and 1, the same for the same seed: the high bits of Knuth's MMIX generator.
  package static func noise(count: Int, seed: UInt64) -> Buffer<Float> {
    let numbers = Buffer<Float>(count: count)
    var state = seed
    for index in 0..<count {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      numbers.pointer[index] = Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-31
    }
    return numbers
  }
}
