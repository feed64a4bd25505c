import CKernels

/// A causal convolution along the text, each channel by itself.
package struct Convolution: BitwiseCopyable {
  package let channels: Int
  /// Tokens that a result depends on, its own the last.
  package let span: Int
  /// Whether a result x becomes x · sigmoid(x).
  package let hasSilu: Bool
  /// `[span, channel]`, the newest token's last.
  package let weights: UnsafePointer<Float>
  /// `[channel]`
  package let bias: UnsafePointer<Float>?

  package init(
    channels: Int, span: Int, hasSilu: Bool, weights: UnsafePointer<Float>, bias: UnsafePointer<Float>?
  ) {
    precondition(channels > 0 && span > 1 && span <= 64, "a convolution spans some tokens")
    self.channels = channels
    self.span = span
    self.hasSilu = hasSilu
    self.weights = weights
    self.bias = bias
  }
}

/// What layers with a recurrent state do, in float32, token after token: results do not depend on how a text is cut.
extension InstructionSet {
  /// Channels in steps of which a convolution may be shared out.
  package static let convolutionPanel = 16

  /// Convolves some channels of all tokens.
  ///
  /// - Parameters:
  ///   - panels: of 16 channels
  ///   - input: `[token, channel]`
  ///   - history: `[span - 1, channel]`, inputs before the first token, oldest first; becomes that of after the last
  ///   - out: `[token, channel]`, not the input
  package func convolve(
    _ convolution: Convolution, panels: Range<Int>, tokens: Int, input: UnsafePointer<Float>,
    history: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>
  ) {
    let last = min(panels.upperBound * Self.convolutionPanel, convolution.channels)
    precondition(tokens > 0 && panels.lowerBound >= 0 && panels.lowerBound * Self.convolutionPanel <= last)
    var call = sluice_convolution(
      tokens: Int32(tokens), channels: Int32(convolution.channels), span: Int32(convolution.span),
      has_silu: convolution.hasSilu ? 1 : 0, input: input, weights: convolution.weights, bias: convolution.bias,
      history: history, out: out, input_stride: convolution.channels, out_stride: convolution.channels)
    kernels.pointee.convolve(&call, Int32(panels.lowerBound * Self.convolutionPanel), Int32(last))
  }

  /// The gated delta rule (Yang et al., "Gated Delta Networks", arXiv 2412.06464) for one head: token by token
  /// S ← decay · S, S ← S + key ⊗ beta (value − Sᵀ key), out = Sᵀ query.
  ///
  /// - Parameters:
  ///   - queries: of the first token, `[keyDim]`, `stride` floats to the next one's; keys and values likewise
  ///   - decays: of the first token, `gateStride` floats to the next one's; betas likewise
  ///   - state: `[keyDim, valueDim]`
  ///   - out: of the first token, `[valueDim]`, `outStride` floats to the next one's
  package func deltaRule(
    tokens: Int, keyDim: Int, valueDim: Int, queries: UnsafePointer<Float>, keys: UnsafePointer<Float>,
    values: UnsafePointer<Float>, stride: Int, decays: UnsafePointer<Float>, betas: UnsafePointer<Float>,
    gateStride: Int, state: UnsafeMutablePointer<Float>, out: UnsafeMutablePointer<Float>, outStride: Int
  ) {
    precondition(tokens > 0 && keyDim > 0 && valueDim > 0 && outStride >= valueDim)
    var call = sluice_delta_rule(
      tokens: Int32(tokens), key_dim: Int32(keyDim), value_dim: Int32(valueDim), queries: queries, keys: keys,
      values: values, decays: decays, betas: betas, state: state, out: out, stride: stride, gate_stride: gateStride,
      out_stride: outStride)
    kernels.pointee.delta_rule(&call)
  }
}
