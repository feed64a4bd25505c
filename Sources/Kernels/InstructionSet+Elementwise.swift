import CKernels

/// How the two halves of a rotated pair lie in a head.
package enum RotaryLayout: Sendable {
  /// Pairs (i, i + rotaryDim / 2), as GPT-NeoX and Llama's Hugging Face weights.
  case halves
  /// Pairs (2i, 2i + 1), as GPT-J and Llama's GGUF weights.
  case interleaved
}

/// What a feed-forward does to each of its values.
package enum Activation: Sendable, BitwiseCopyable {
  /// x · sigmoid(x)
  case silu
  /// GELU as Gemma approximates it: x / 2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))
  case geluTanh
  /// GELU as it was published: x · Φ(x)
  case geluErf
  /// sigmoid(x)
  case sigmoid
  /// g · sigmoid(1.702 g) · (u + 1) with g = min(x, 7) and u, its factor, within ±7: the gated unit of gpt-oss, which is
  /// always gated.
  case clampedSilu
}

/// Row-wise kernels. Each takes raw rows: sizes are checked here, addresses are the caller's word.
extension InstructionSet {
  /// out = x / sqrt(mean(x²) + epsilon) · weight; `weight` may be nil, `out` may be `x`.
  package func rmsNorm(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>?, out: UnsafeMutablePointer<Float>, count: Int,
    epsilon: Float
  ) {
    precondition(count > 0, "a norm needs values")
    kernels.pointee.rms_norm(x, weight, out, Int32(count), epsilon)
  }

  /// out = (x - mean(x)) / sqrt(variance(x) + epsilon) · weight + bias; `bias` may be nil, `out` may be `x`.
  package func layerNorm(
    _ x: UnsafePointer<Float>, weight: UnsafePointer<Float>, bias: UnsafePointer<Float>?,
    out: UnsafeMutablePointer<Float>, count: Int, epsilon: Float
  ) {
    precondition(count > 0, "a norm needs values")
    kernels.pointee.layer_norm(x, weight, bias, out, Int32(count), epsilon)
  }

  /// out = activation(gate) · up; without `up` the activation alone. `out` may be either input.
  package func activate(
    _ activation: Activation, gate: UnsafePointer<Float>, up: UnsafePointer<Float>?, out: UnsafeMutablePointer<Float>,
    count: Int
  ) {
    precondition(count >= 0, "negative count")
    switch activation {
    case .silu: kernels.pointee.silu_multiply(gate, up, out, Int32(count))
    case .geluTanh: kernels.pointee.gelu_tanh_multiply(gate, up, out, Int32(count))
    case .geluErf: kernels.pointee.gelu_erf_multiply(gate, up, out, Int32(count))
    case .sigmoid: kernels.pointee.sigmoid_multiply(gate, up, out, Int32(count))
    case .clampedSilu:
      precondition(up != nil, "a unit that is always gated")
      kernels.pointee.clamped_silu_multiply(gate, up, out, Int32(count))
    }
  }

  /// x = cap · tanh(x / cap).
  package func softCap(_ x: UnsafeMutablePointer<Float>, cap: Float, count: Int) {
    precondition(count >= 0 && cap > 0, "a cap is positive")
    kernels.pointee.soft_cap(x, cap, Int32(count))
  }

  /// x = x held within ±limit.
  package func clamp(_ x: UnsafeMutablePointer<Float>, to limit: Float, count: Int) {
    precondition(count >= 0 && limit > 0, "a limit is positive")
    for index in 0..<count { x[index] = max(-limit, min(x[index], limit)) }
  }

  /// out = x · y; `out` may be either.
  package func multiply(
    _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>, count: Int
  ) {
    precondition(count >= 0, "negative count")
    for index in 0..<count { out[index] = x[index] * y[index] }
  }

  /// x += factor · y.
  package func add(_ y: UnsafePointer<Float>, times factor: Float, to x: UnsafeMutablePointer<Float>, count: Int) {
    precondition(count >= 0, "negative count")
    for index in 0..<count { x[index] += factor * y[index] }
  }

  /// x += y.
  package func add(_ y: UnsafePointer<Float>, to x: UnsafeMutablePointer<Float>, count: Int) {
    precondition(count >= 0, "negative count")
    kernels.pointee.add(x, y, Int32(count))
  }

  /// x *= factor.
  package func scale(_ x: UnsafeMutablePointer<Float>, by factor: Float, count: Int) {
    precondition(count >= 0, "negative count")
    kernels.pointee.scale(x, factor, Int32(count))
  }

  /// Softmax in place; returns the log-sum-exp. Logits of all -infinity become zeros and return -infinity.
  @discardableResult
  package func softmax(_ x: UnsafeMutablePointer<Float>, count: Int) -> Float {
    precondition(count >= 0, "negative count")
    return kernels.pointee.softmax(x, Int32(count))
  }

  /// log(sum(exp(x))), -infinity for no values.
  package func logSumExp(_ x: UnsafePointer<Float>, count: Int) -> Float {
    precondition(count >= 0, "negative count")
    return kernels.pointee.log_sum_exp(x, Int32(count))
  }

  /// Rotates each head's first `rotaryDim` values by the given angles and copies the rest.
  ///
  /// - Parameters:
  ///   - headStride: floats between heads, in `input` and in `out`; the two may be the same.
  ///   - cosine: [rotaryDim / 2], with any scale of the rotation already in it; `sine` likewise.
  package func rotate(
    _ input: UnsafePointer<Float>, out: UnsafeMutablePointer<Float>, heads: Int, headStride: Int, headDim: Int,
    rotaryDim: Int, layout: RotaryLayout, cosine: UnsafePointer<Float>, sine: UnsafePointer<Float>
  ) {
    precondition(heads >= 0 && headStride >= headDim, "heads must not overlap")
    precondition(
      rotaryDim >= 0 && rotaryDim % 2 == 0 && rotaryDim <= headDim, "rotaryDim must be even and fit the head")
    kernels.pointee.rotate(
      input, out, Int32(heads), headStride, Int32(headDim), Int32(rotaryDim), layout == .interleaved ? 1 : 0, cosine,
      sine)
  }
}
