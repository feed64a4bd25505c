import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Tokens of one KV head, halved again and again so that those kept stand for those dropped: BalanceKV in bounded memory.
///
/// A token of level L stands for 2^L tokens. When all slots are taken, the tokens of one level are halved: of each two
/// neighbours one is kept, a level higher, and which one follows from a self-balancing walk that keeps the sums of the
/// kernel exp(⟨k_a, k_b⟩ / √d) (⟨v_a, v_b⟩ + 0.025) over kept and dropped tokens near each other; keys are taken relative
/// to the mean of the walk's block of at most 128 tokens. Each token is kept with probability one half, and the sum of 2^L
/// stays the count of all tokens.
///
/// Source: "BalanceKV: KV Cache Compression through Discrepancy Theory", arXiv 2502.07861, its streaming merge-and-reduce
/// and the constants of its published experiments (sign probability ½ − 4 × the kernel against the signs so far).
/// Deviations: one walk serves numerator and denominator, and values are not divided by length; signs are drawn for pairs
/// (Dwivedi and Mackey, "Kernel Thinning", arXiv 2105.05842), so that exactly half are kept; the lowest level that has its
/// share of the slots is halved, as in quantile sketches, where the paper's tree grows with the stream.
///
/// Where tokens are to be forgotten, level 0 is halved every so many tokens by a walk like any other, and all levels fall by one:
/// all counts halve at once, and stay whole. That is ours.
///
/// A view of one head's part of larger buffers; `BalancedSummary` owns them.
struct BalancedTokens {
  static let walkTokens = 128
  /// Beyond this level tokens are dropped; no stream is so long.
  static let levelLimit: Int32 = 60

  let capacity: Int
  /// In the order in which tokens came.
  let slots: SlotStorage
  /// `[slot]`; -1 while a slot is being freed.
  let levels: UnsafeMutablePointer<Int32>
  /// log 2^L, `[slot]`.
  let logWeights: UnsafeMutablePointer<Float>
  let usedCount: UnsafeMutablePointer<Int32>

  /// Tokens kept: the first slots.
  var used: Int { Int(usedCount.pointee) }

  /// Takes a token in.
  ///
  /// - Parameter scratch: `BalancingWalk.scratchFloats(headDim:)` floats.
  func add(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, scratch: UnsafeMutablePointer<Float>,
    using random: inout SeededRandom, _ kernels: InstructionSet
  ) {
    while used == capacity { makeRoom(scratch, using: &random, kernels) }
    let slot = used
    kernels.writeKey(key, to: slot, of: slots)
    kernels.writeValue(value, to: slot, of: slots)
    setLevel(0, of: slot)
    usedCount.pointee += 1
  }

  func setLevel(_ level: Int32, of slot: Int) {
    levels[slot] = level
    logWeights[slot] = Float(level) * 0.693_147_18
  }

  private func makeRoom(
    _ scratch: UnsafeMutablePointer<Float>, using random: inout SeededRandom, _ kernels: InstructionSet
  ) {
    if let level = levelToHalve() {
      halve(level, scratch, using: &random, kernels)
    } else {
      promoteOrDrop(using: &random)
    }
    removeDropped(scratch, kernels)
  }

  /// The lowest level that holds its share of the slots, else the highest one, else any with a pair.
  private func levelToHalve() -> Int32? {
    var top: Int32 = 0
    for slot in 0..<used { top = max(top, levels[slot]) }
    let share = max(2, capacity / (2 * max(Int(top), 1)))
    for level in 0..<top where count(level) >= share { return level }
    if count(top) >= 2 { return top }
    for level in 0..<top where count(level) >= 2 { return level }
    return nil
  }

  private func count(_ level: Int32) -> Int {
    var count = 0
    for slot in 0..<used where levels[slot] == level { count += 1 }
    return count
  }

  /// Halves what every token counts.
  func fade(
    scratch: UnsafeMutablePointer<Float>, using random: inout SeededRandom, _ kernels: InstructionSet
  ) {
    halve(0, scratch, using: &random, kernels)
    for slot in 0..<used {
      if levels[slot] > 0 {
        setLevel(levels[slot] - 1, of: slot)
      } else if levels[slot] == 0 && random.uniform() < 0.5 {
        // The last of an odd count, which had no partner.
        setLevel(-1, of: slot)
      }
    }
    removeDropped(scratch, kernels)
  }

  /// Where every level has but one token: the lowest one rises or goes, as a coin says.
  private func promoteOrDrop(using random: inout SeededRandom) {
    var lowest = 0
    for slot in 0..<used where levels[slot] < levels[lowest] { lowest = slot }
    let level = levels[lowest] + 1
    setLevel(level <= Self.levelLimit && random.uniform() < 0.5 ? level : -1, of: lowest)
  }

  /// Halves a level: pairs of neighbours, the last of an odd count left as it is.
  private func halve(
    _ level: Int32, _ scratch: UnsafeMutablePointer<Float>, using random: inout SeededRandom, _ kernels: InstructionSet
  ) {
    var walk = BalancingWalk(scratch, headDim: slots.headDim)
    var left = count(level) & ~1
    for slot in 0..<used where left > 0 && levels[slot] == level {
      walk.append(slot, of: slots, kernels)
      left -= 1
      guard walk.count == Self.walkTokens || left == 0 else { continue }
      walk.decide(using: &random, kernels) { slot, isKept in
        setLevel(isKept ? min(level + 1, Self.levelLimit) : -1, of: slot)
      }
      walk.removeAll()
    }
  }

  /// Closes the gaps that dropped tokens left.
  private func removeDropped(_ scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet) {
    var target = 0
    for slot in 0..<used where levels[slot] >= 0 {
      if target < slot {
        kernels.readKey(slot, of: slots, to: scratch)
        kernels.writeKey(scratch, to: target, of: slots)
        kernels.readValue(slot, of: slots, to: scratch)
        kernels.writeValue(scratch, to: target, of: slots)
        setLevel(levels[slot], of: target)
      }
      target += 1
    }
    usedCount.pointee = Int32(target)
  }

  /// Checks what a snapshot claims, and computes what follows from it.
  ///
  /// - Throws: `KVCacheError` for more tokens than there are slots, or an impossible level.
  func validate() throws(KVCacheError) {
    guard (0...capacity).contains(used) else { throw .badSnapshot("\(used) tokens in \(capacity) slots") }
    for slot in 0..<used {
      guard (0...Self.levelLimit).contains(levels[slot]) else { throw .badSnapshot("a token of level \(levels[slot])") }
      setLevel(levels[slot], of: slot)
    }
  }
}
