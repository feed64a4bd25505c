import CLibrary
import Kernels

/// Tokens of one KV head drawn by the squared lengths of their values: the numerator of attention, estimated.
///
/// Each slot holds one token of all that came, independently of the others, with probability |v|² / μ, where μ is the sum of
/// all |v|². Then μ / s × Σ e^⟨q,k⟩ v / |v|² over the s slots has the expected value Σ e^⟨q,k⟩ v over all tokens.
///
/// Source: UpdateMatrixProduct of SubGen, arXiv 2402.06082, Algorithm 1. Instead of a coin a slot, one binomial number says
/// how many slots the token takes, and all choices of so many are equally likely.
///
/// A view of one head's part of larger buffers; `SubGenSummary` owns them.
struct ValueSamples {
  /// All are empty, or none is.
  let slots: SlotStorage
  /// −log |v|² of each slot's token, `[slot]`.
  let logWeights: UnsafeMutablePointer<Float>
  /// μ
  let mass: UnsafeMutablePointer<Double>

  /// What attention adds to all logits beside `logWeights`: log(μ / s).
  var logShare: Float { Float(log(mass.pointee / Double(slots.slots))) }

  func add(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, using random: inout SeededRandom, _ kernels: InstructionSet
  ) {
    var length = 0.0
    for index in 0..<slots.headDim { length += Double(value[index]) * Double(value[index]) }
    guard length > 0 else { return }
    let taken = random.binomial(slots.slots, length / (mass.pointee + length))
    mass.pointee += length
    guard taken > 0 else { return }
    let weight = Float(-log(length))
    random.choose(taken, of: slots.slots) { slot in
      kernels.writeKey(key, to: slot, of: slots)
      kernels.writeValue(value, to: slot, of: slots)
      logWeights[slot] = weight
    }
  }

  /// Checks what a snapshot claims.
  ///
  /// - Throws: `KVCacheError` for an impossible sum of lengths or weight.
  func validate() throws(KVCacheError) {
    guard mass.pointee >= 0, mass.pointee.isFinite else { throw .badSnapshot("values of a mass of \(mass.pointee)") }
    for slot in 0..<slots.slots where !logWeights[slot].isFinite {
      throw .badSnapshot("a sample of weight \(logWeights[slot])")
    }
  }
}
