import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The self-balancing walk over one block of tokens: of each pair one is kept.
///
/// Signs are +1 for kept and -1 for dropped tokens. A pair's first token is kept with probability ½ − 4 (b_1 − b_2), within
/// 0 and 1, where b is a token's kernel against the signs so far.
struct BalancingWalk {
  private let headDim: Int
  /// Keys and values of the block as rows, `[token, headDim]`.
  private let keys: UnsafeMutablePointer<Float>
  private let values: UnsafeMutablePointer<Float>
  /// The same as panels, which multiply fast.
  private let panels: SlotStorage
  private let valuePanels: SlotStorage
  /// Products of one token with those before it, `[token]`.
  private let keyProducts: UnsafeMutablePointer<Float>
  private let valueProducts: UnsafeMutablePointer<Float>
  /// `[token]`
  private let signs: UnsafeMutablePointer<Float>
  /// The slot of each token, `[token]`.
  private let slots: UnsafeMutablePointer<Int32>
  private(set) var count = 0

  static func scratchFloats(headDim: Int) -> Int { BalancedTokens.walkTokens * 4 * (headDim + 1) }

  /// An empty walk in `scratchFloats(headDim:)` floats.
  init(_ scratch: UnsafeMutablePointer<Float>, headDim: Int) {
    let (limit, part) = (BalancedTokens.walkTokens, BalancedTokens.walkTokens * headDim)
    self.headDim = headDim
    keys = scratch
    values = scratch + part
    let (panelStart, valueStart) = (scratch + 2 * part, scratch + 3 * part)
    panels = SlotStorage(type: .float32, headDim: headDim, slots: limit, keys: panelStart, values: panelStart)
    valuePanels = SlotStorage(type: .float32, headDim: headDim, slots: limit, keys: valueStart, values: valueStart)
    keyProducts = scratch + 4 * part
    valueProducts = keyProducts + limit
    signs = valueProducts + limit
    slots = UnsafeMutableRawPointer(signs + limit).bindMemory(to: Int32.self, capacity: limit)
  }

  mutating func append(_ slot: Int, of storage: SlotStorage, _ kernels: InstructionSet) {
    kernels.readKey(slot, of: storage, to: keys + count * headDim)
    kernels.readValue(slot, of: storage, to: values + count * headDim)
    slots[count] = Int32(slot)
    count += 1
  }

  mutating func removeAll() { count = 0 }

  /// Calls `body` with the slot of every token, of which there is an even number, and whether it is kept.
  func decide(using random: inout SeededRandom, _ kernels: InstructionSet, _ body: (Int, Bool) -> Void) {
    assert(count % 2 == 0, "tokens come in pairs")
    center()
    for token in 0..<count {
      kernels.writeKey(keys + token * headDim, to: token, of: panels)
      kernels.writeKey(values + token * headDim, to: token, of: valuePanels)
    }
    for first in stride(from: 0, to: count, by: 2) {
      let difference = balance(first, against: first, kernels) - balance(first + 1, against: first, kernels)
      let isFirstKept = random.uniform() < 0.5 - 4 * difference
      signs[first] = isFirstKept ? 1 : -1
      signs[first + 1] = -signs[first]
      body(Int(slots[first]), isFirstKept)
      body(Int(slots[first + 1]), !isFirstKept)
    }
  }

  /// A token's kernel against the signs of those before `end`.
  private func balance(_ token: Int, against end: Int, _ kernels: InstructionSet) -> Double {
    kernels.products(of: keys + token * headDim, with: panels, slots: end, out: keyProducts)
    kernels.products(of: values + token * headDim, with: valuePanels, slots: end, out: valueProducts)
    let scale = 1 / Double(headDim).squareRoot()
    var sum = 0.0
    for other in 0..<end {
      // The bound keeps sums finite whatever the keys.
      let kernel = exp(min(Double(keyProducts[other]) * scale, 300)) * (Double(valueProducts[other]) + 0.025)
      sum += kernel * Double(signs[other])
    }
    return sum
  }

  /// Takes the mean off all keys.
  private func center() {
    for index in 0..<headDim {
      var sum: Float = 0
      for token in 0..<count { sum += keys[token * headDim + index] }
      let mean = sum / Float(count)
      for token in 0..<count { keys[token * headDim + index] -= mean }
    }
  }
}
