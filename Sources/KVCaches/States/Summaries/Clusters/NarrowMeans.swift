import Kernels

/// How running means stand in slots narrower than float32, of one head, so that heavy ones still move.
///
/// A mean moves by a token's share of the distance to it. Below half a step of the slot's format a slot rounds every such
/// move away: where the mean of 6,000 tokens changes half-way, it ends off by 0.4 of its length in F16, 0.9 in BF16 and 1 in
/// Q8_0. Two remedies, both by stochastic rounding, which is right on average (Gupta et al., "Deep Learning with Limited
/// Numerical Precision", 2015):
///
/// - F16 slots of means that forget are rounded up or down at random: 0.005 with a half-life of 380, at no byte more.
/// - All others keep the rest of each number beside its slot, a byte in 127ths of the largest rest of its row: what is
///   off is then the slot's own rounding, 0.0003, 0.002 and 0.006. Rounding BF16 and Q8_0 slots at random leaves 0.05 and 0.1.
///
/// Attention and Ward's costs read the slots alone.
///
/// A view of one head's part of larger buffers; `WardSummary` owns them.
struct NarrowMeans {
  enum Row: Int { case key, value }

  let headDim: Int
  /// The state of the random source.
  let random: UnsafeMutablePointer<UInt64>
  /// Nil where slots are rounded at random.
  let rests: Rests?

  struct Rests {
    /// `[slot, key | value, headDim]`
    let numbers: UnsafeMutablePointer<Int8>
    /// What one of `numbers` counts, `[slot, key | value]`.
    let steps: UnsafeMutablePointer<Float>
  }

  /// Whether slots of a type keep rests; float32 ones keep nothing.
  static func keepsRests(_ type: KVCache.SlotType, forgets: Bool) -> Bool {
    type != .float32 && !(type == .float16 && forgets)
  }

  /// Bytes of the rests of so many slots of a head.
  static func restBytes(slots: Int, headDim: Int) -> Int { slots * 2 * (headDim + 4) }

  /// Adds the rests of a row to what its slot holds.
  func add(_ slot: Int, _ row: Row, to mean: UnsafeMutablePointer<Float>) {
    guard let rests else { return }
    let place = 2 * slot + row.rawValue
    let (numbers, step) = (rests.numbers + place * headDim, rests.steps[place])
    for index in 0..<headDim { mean[index] += Float(numbers[index]) * step }
  }

  /// Writes a mean so that an F16 slot, which rounds to the nearest, rounds it up or down at random.
  func dither(_ mean: UnsafePointer<Float>, to out: UnsafeMutablePointer<Float>) {
    draw { index, chance in
      let leading = Float(bitPattern: mean[index].bitPattern & 0x7F80_0000)
      out[index] = mean[index] + leading * 0x1p-10 * (chance - 0.5)
    }
  }

  /// Keeps what a slot, which gives back `stored`, does not hold of a mean.
  func keep(_ slot: Int, _ row: Row, of mean: UnsafePointer<Float>, beside stored: UnsafePointer<Float>) {
    guard let rests else { return }
    let place = 2 * slot + row.rawValue
    let numbers = rests.numbers + place * headDim
    var largest: Float = 0
    for index in 0..<headDim { largest = max(largest, abs(mean[index] - stored[index])) }
    let step = largest / 127
    // Nothing is kept beside broken numbers, nor where a step would be too small to divide by.
    guard step > 0, 1 / step < .infinity, step < Self.largestStep else {
      rests.steps[place] = 0
      numbers.update(repeating: 0, count: headDim)
      return
    }
    rests.steps[place] = step
    draw { index, chance in
      let rest = ((mean[index] - stored[index]) / step + chance).rounded(.down)
      numbers[index] = Int8(max(-127, min(127, rest)))
    }
  }

  /// Calls `body` for every dimension with a number from 0 up to but not 1.
  @inline(__always)
  private func draw(_ body: (Int, Float) -> Void) {
    var source = SeededRandom(state: random.pointee)
    var bits: UInt64 = 0
    for index in 0..<headDim {
      // Sixteen bits decide on one number.
      bits = index % 4 == 0 ? source.next() : bits >> 16
      body(index, Float(UInt32(truncatingIfNeeded: bits) & 0xFFFF) * 0x1p-16)
    }
    random.pointee = source.state
  }

  private static var largestStep: Float { 1e30 }

  /// Checks what a snapshot claims.
  ///
  /// - Throws: `KVCacheError` for a step that is none.
  func validate(slots: Int) throws(KVCacheError) {
    guard let rests else { return }
    for index in 0..<2 * slots {
      guard rests.steps[index] >= 0, rests.steps[index] < Self.largestStep else {
        throw .badSnapshot("a rest of a mean in steps of \(rests.steps[index])")
      }
    }
  }
}
