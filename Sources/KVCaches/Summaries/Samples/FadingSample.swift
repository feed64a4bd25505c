import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A sample of the tokens of one KV head in which a token counts ever less with age, as it does in what it stands for.
///
/// Each token kept has a weight. Of K tokens and a new one, one is dropped: with a threshold τ for which the sum of
/// 1 − w / τ over the tokens lighter than τ is 1, each of these is dropped with that probability, and those that stay weigh
/// τ. Every token's expected weight stays its own and the sum of all weights is that of the stream, exactly; no sample of K
/// tokens has a smaller mean variance over subsets. Where the half-life is at least 0.7 K all weights are soon the same, and the
/// probability that a token is held is in proportion to what it still counts; where it is shorter, the newest tokens are
/// all held.
///
/// Weights do not shrink: what a new token weighs grows, and everything is divided by it in attention.
///
/// Source: Cohen, Duffield, Kaplan, Lund, Thorup, "Stream Sampling for Variance-Optimal Estimation of Subset Sums", SODA 2009
/// (arXiv 0803.0473), with weights that grow with time; with equal weights it is Vitter's reservoir.
///
/// A view of one head's part of larger buffers; `FadingSampleSummary` owns them.
struct FadingSample {
  let capacity: Int
  let slots: SlotStorage
  /// In terms of `unit`, `[slot]`.
  let weights: UnsafeMutablePointer<Float>
  /// `[slot]`, what attention adds to the logits.
  let logWeights: UnsafeMutablePointer<Float>
  let usedCount: UnsafeMutablePointer<Int32>
  /// What a token that comes now weighs.
  let unit: UnsafeMutablePointer<Float>
  /// How much more the next one weighs.
  let growth: Float

  /// Units beyond this are taken back, everything being divided by it.
  static var largestUnit: Float { 0x1p20 }

  /// Tokens kept: the first slots.
  var used: Int { Int(usedCount.pointee) }

  /// Takes a token in.
  func add(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, using random: inout SeededRandom, _ kernels: InstructionSet
  ) {
    defer { grow() }
    if used < capacity {
      usedCount.pointee += 1
      put(key: key, value: value, weight: unit.pointee, in: used - 1, kernels)
      return
    }
    let threshold = threshold()
    let dropped = choose(below: threshold, random.uniform())
    let logThreshold = logf(threshold)
    for slot in 0..<used where weights[slot] < threshold {
      weights[slot] = threshold
      logWeights[slot] = logThreshold
    }
    if let dropped { put(key: key, value: value, weight: max(unit.pointee, threshold), in: dropped, kernels) }
  }

  /// τ of the tokens kept and the new one: found from above, as the heaviest tokens turn out to be heavier.
  private func threshold() -> Float {
    var (limit, count) = (Double.infinity, 0)
    while true {
      var (sum, lighter) = (0.0, 0)
      for slot in 0...used {
        let weight = weight(slot)
        guard weight < limit else { continue }
        sum += weight
        lighter += 1
      }
      // Rounding may leave less than the two tokens that are always lighter.
      guard lighter >= 2, lighter != count else { return Float(limit) }
      (limit, count) = (sum / Double(lighter - 1), lighter)
    }
  }

  /// What a token weighs, the new one behind all others.
  private func weight(_ slot: Int) -> Double { Double(slot < used ? weights[slot] : unit.pointee) }

  /// The slot of the token that goes, nil for the new one.
  private func choose(below threshold: Float, _ chance: Double) -> Int? {
    var (rest, chosen) = (chance, used)
    for slot in 0...used {
      let probability = 1 - weight(slot) / Double(threshold)
      guard probability > 0 else { continue }
      chosen = slot
      rest -= probability
      if rest < 0 { break }
    }
    return chosen < used ? chosen : nil
  }

  private func put(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, weight: Float, in slot: Int, _ kernels: InstructionSet
  ) {
    kernels.writeKey(key, to: slot, of: slots)
    kernels.writeValue(value, to: slot, of: slots)
    weights[slot] = weight
    logWeights[slot] = logf(weight)
  }

  /// Lets the next token weigh more.
  private func grow() {
    unit.pointee *= growth
    guard unit.pointee >= Self.largestUnit else { return }
    unit.pointee /= Self.largestUnit
    for slot in 0..<used {
      weights[slot] = max(weights[slot] / Self.largestUnit, 1e-30)
      logWeights[slot] = logf(weights[slot])
    }
  }

  /// Checks what a snapshot claims, and computes what follows from it.
  ///
  /// - Throws: `KVCacheError` for more tokens than there are slots, or a weight that is none.
  func validate() throws(KVCacheError) {
    guard (0...capacity).contains(used) else { throw .badSnapshot("\(used) tokens in \(capacity) slots") }
    guard (1..<Self.largestUnit).contains(unit.pointee) else { throw .badSnapshot("a token of \(unit.pointee)") }
    for slot in 0..<used {
      guard weights[slot] > 0, weights[slot].isFinite else {
        throw .badSnapshot("a token that stands for \(weights[slot])")
      }
      logWeights[slot] = logf(weights[slot])
    }
  }
}
