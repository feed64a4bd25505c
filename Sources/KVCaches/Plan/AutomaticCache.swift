/// A cache that is chosen for a model and a number of bytes: `auto:BYTES`, as in `auto:64MiB`.
///
/// Streams have no end, so what is chosen has a bound. Which bounded cache reads texts best in a number of bytes was measured
/// (docs/measurements.md, "At equal bytes"): four levels that keep what scores highest, in the narrowest slots. Where the bytes hold
/// the trained length, a window of that length is all that a model makes use of, in the widest slots that fit.
package struct AutomaticCache: Sendable, Hashable {
  package let bytes: Int

  /// What was chosen, and why.
  package struct Choice: Sendable {
    package let plan: KVCache.Plan
    package let slotType: KVCache.SlotType
    /// What it takes, at most as many bytes as were asked for.
    package let bytes: Int
    /// One line.
    package let reason: String
  }

  /// Reads `auto:BYTES`; nil for any other specification.
  ///
  /// - Throws: `KVCacheError` where the bytes are no number, or none that a machine has.
  package init?(_ specification: String) throws(KVCacheError) {
    let parts = specification.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0] == "auto" else { return nil }
    guard parts.count == 2, let bytes = Self.bytes(parts[1]) else {
      throw .badSpecification(specification, "auto wants bytes, as in auto:64MiB")
    }
    self.bytes = bytes
  }

  /// A whole number, alone or in KiB, MiB or GiB (K, M and G for short); nil where it is none or exceeds 1 PiB.
  private static func bytes(_ text: Substring) -> Int? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    let shifts: [Substring: Int] = ["": 0, "K": 10, "KiB": 10, "M": 20, "MiB": 20, "G": 30, "GiB": 30]
    guard let number = Int(digits), number > 0, let shift = shifts[text.dropFirst(digits.count)],
      number <= 1 << (50 - shift)
    else { return nil }
    return number << shift
  }

  /// Chooses for a model of these layers.
  ///
  /// - Parameters:
  ///   - trainedLength: tokens beyond which the model makes no use of a window
  ///   - memory: what the model was trained to remember with: segments are kept whatever the bytes, sinks where there are some
  ///   - slotType: the type that must be used; nil leaves it open
  /// - Throws: `KVCacheError` where not even the smallest cache fits.
  package func choose(
    layers: [AttentionLayer], trainedLength: Int, memory: TrainedMemory = TrainedMemory(), slotType: KVCache.SlotType?
  ) throws(KVCacheError) -> Choice {
    if let plan = memory.segments?.plan {
      let type = slotType ?? .float16
      let bytes = KVCache.bytes(plan: plan, layers: layers, slotType: type, tokens: 0)
      guard bytes <= self.bytes else {
        throw .badSpecification(
          "auto:\(self.bytes)", "the segments that this model was trained with take \(bytes) bytes")
      }
      return Choice(plan: plan, slotType: type, bytes: bytes, reason: "the model was trained with this memory")
    }
    let types = slotType.map { [$0] } ?? [.float16, .q8_0, .q8_0_q4_1]
    for type in types {
      let window = KVCache.Plan {
        Sinks(memory.usualSinks)
        Window(max(1, trainedLength - memory.usualSinks))
      }
      let bytes = KVCache.bytes(plan: window, layers: layers, slotType: type, tokens: 0)
      guard bytes > 0, bytes <= self.bytes else { continue }
      return Choice(
        plan: window, slotType: type, bytes: bytes,
        reason: "all of the trained length of \(trainedLength) tokens fits in \(type.rawValue) slots")
    }
    for type in types.reversed() {
      guard let (plan, bytes) = largest(layers, type, below: trainedLength, sinks: memory.usualSinks) else { continue }
      return Choice(
        plan: plan, slotType: type, bytes: bytes,
        reason: "four levels in \(type.rawValue) slots: the lowest perplexity of what was measured in as many bytes")
    }
    throw .badSpecification("auto:\(bytes)", "not even \(Self.least) tokens of this model fit into it")
  }

  private static let least = 32

  /// The largest cascade of four levels that fits, and its bytes.
  private func largest(
    _ layers: [AttentionLayer], _ type: KVCache.SlotType, below trainedLength: Int, sinks: Int
  ) -> (plan: KVCache.Plan, bytes: Int)? {
    func cascade(_ quarters: Int) -> (plan: KVCache.Plan, bytes: Int)? {
      guard let plan = try? KVCache.Plan("cascading:\(4 * quarters)/4[sinks=\(sinks)]") else { return nil }
      let bytes = KVCache.bytes(plan: plan, layers: layers, slotType: type, tokens: 0)
      return bytes > 0 && bytes <= self.bytes ? (plan, bytes) : nil
    }
    var (low, high) = (Self.least / 4, max(Self.least, trainedLength) / 4 + 1)
    guard var best = cascade(low) else { return nil }
    while high - low > 1 {
      let middle = (low + high) / 2
      if let found = cascade(middle) { (low, best) = (middle, found) } else { high = middle }
    }
    return best
  }
}
