/// What a layer remembers in place of keys and values: a state of constant size, whatever the plan.
///
/// A short convolution along the text (LFM 2), and behind it where there is one a matrix a head that follows the gated delta
/// rule (Qwen 3.5).
package struct Recurrence: Sendable, Hashable {
  /// The gated delta rule (Yang et al., "Gated Delta Networks", arXiv 2412.06464).
  package struct DeltaRule: Sendable, Hashable {
    package var keyHeads: Int
    /// A multiple of `keyHeads`.
    package var valueHeads: Int
    package var keyDim: Int
    package var valueDim: Int
    /// Whether value head h reads key head h mod `keyHeads`, as GGUF files have it, and not h / (value heads of a key head).
    package var interleavesHeads: Bool

    package init(keyHeads: Int, valueHeads: Int, keyDim: Int, valueDim: Int, interleavesHeads: Bool) {
      precondition(keyHeads > 0 && valueHeads % keyHeads == 0 && keyDim > 0 && valueDim > 0)
      self.keyHeads = keyHeads
      self.valueHeads = valueHeads
      self.keyDim = keyDim
      self.valueDim = valueDim
      self.interleavesHeads = interleavesHeads
    }

    /// Queries, keys and values of a token, one after another.
    package var width: Int { 2 * keyHeads * keyDim + valueHeads * valueDim }

    func keyHead(of valueHead: Int) -> Int {
      interleavesHeads ? valueHead % keyHeads : valueHead / (valueHeads / keyHeads)
    }

    /// Floats of the state of one head, `[keyDim, valueDim]`.
    var headFloats: Int { keyDim * valueDim }
  }

  /// Channels of the convolution.
  package var channels: Int
  /// Tokens that the convolution spans.
  package var span: Int
  package var deltaRule: DeltaRule?

  package init(channels: Int, span: Int, deltaRule: DeltaRule? = nil) {
    precondition(channels > 0 && span > 1)
    self.channels = channels
    self.span = span
    self.deltaRule = deltaRule
  }

  /// Inputs of the convolution that later tokens need, `[token, channel]`.
  var historyFloats: Int { (span - 1) * channels }

  /// Bytes of the state of one sequence.
  package var bytes: Int { floats * 4 }

  /// Floats of the state of one sequence: the history, then `[value head, keyDim, valueDim]`.
  var floats: Int { historyFloats + (deltaRule.map { $0.valueHeads * $0.headFloats } ?? 0) }
}

/// Where each layer's state begins among those of a model.
struct RecurrentLayout: Sendable, Hashable {
  /// `[layer]`, and (last) where they end.
  let first: [Int]

  init(_ layers: [AttentionLayer]) {
    first = layers.reduce(into: [0]) { $0.append($0[$0.count - 1] + ($1.recurrence?.floats ?? 0)) }
  }

  /// Floats of all layers.
  var count: Int { first[first.count - 1] }
  var bytes: Int { count * 4 }

  /// The layers that have a state.
  var layers: [Int] { (0..<first.count - 1).filter { first[$0 + 1] > first[$0] } }

  func range(ofLayer layer: Int) -> Range<Int> { first[layer]..<first[layer + 1] }
}
