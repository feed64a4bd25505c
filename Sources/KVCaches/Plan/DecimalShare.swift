/// Shares of counts as one works them out by hand.
enum DecimalShare {
  /// The share of a count, rounded.
  ///
  /// Shares are written as decimals, which floats hold only nearly: 0.35 × 90 is 31.499999999999996 there. A product so near
  /// to a whole or a half number stands for it.
  static func of(_ count: Int, share: Double, _ rule: FloatingPointRoundingRule) -> Int {
    let product = share * Double(count)
    let half = (2 * product).rounded() / 2
    // The share and the product are each off by half a unit in the last place of a number up to `count`.
    let isHalf = abs(product - half) <= 2 * Double.ulpOfOne * Double(count)
    return Int((isHalf ? half : product).rounded(rule))
  }
}
