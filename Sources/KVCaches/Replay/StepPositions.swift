import Kernels

/// How a step's queries and keys know distances: rotations by clocks, or what ALiBi takes off logits.
///
/// With ALiBi the logit of token r loses slope × (position − clock). Slope × r is left out of that, which no softmax
/// notices, so that one bias a slot serves all tokens. Only where a query clock stops at its limit do the tokens of
/// a chunk differ, by a constant that the partial is shifted by while it meets the run.
final class StepPositions {
  private let headDim: Int
  private var tokens = 0
  /// Rotated pairs of a head; 0 without rotation.
  private(set) var halfDim = 0
  private var layout = RotaryLayout.halves
  /// Cosines then sines of each query clock, `[clock, token, (cosine | sine), pair]`.
  private var angles = GrowingBuffer<Float>()
  /// Angle per position of each pair, `[pair]`.
  private(set) var frequencies = GrowingBuffer<Double>()

  /// ALiBi: whether logits lose `slope × distance`.
  private(set) var isLinearBias = false
  /// `[query head]`
  private(set) var slopes = GrowingBuffer<Float>()
  /// From keys to the position of the chunk's first token; those of the chunk's own keys from `chunkDistances` on.
  private(set) var distances = GrowingBuffer<Float>()
  private(set) var chunkDistances = 0
  /// How far each token's position by each clock stays behind the token's place in the chunk, `[clock, token]`.
  private var lags = GrowingBuffer<Float>()

  /// What each token's query is multiplied by beside its layer's scale, `[token]`.
  private var temperatures = GrowingBuffer<Float>()
  private var hasTemperature = false

  init(headDim: Int) { self.headDim = headDim }

  func prepare(_ layer: AttentionLayer, _ step: StepPlan, tokens: Int) {
    self.tokens = tokens
    prepareTemperatures(layer.temperature, step)
    halfDim = 0
    isLinearBias = false
    switch layer.positions {
    case .rotary(let rotary): prepareAngles(step, rotary)
    case .linearBias(let slopes): prepareDistances(step, slopes)
    case .none: break
    }
  }

  private func prepareTemperatures(_ temperature: AttentionTemperature?, _ step: StepPlan) {
    hasTemperature = temperature != nil
    guard let temperature else { return }
    temperatures.reserve(tokens)
    for token in 0..<tokens {
      temperatures.pointer[token] = temperature.factor(at: step.position.position(token))
    }
  }

  private func prepareAngles(_ step: StepPlan, _ rotary: RotaryEmbedding) {
    halfDim = rotary.dim / 2
    layout = rotary.layout
    frequencies.copy(rotary.frequencies)
    angles.reserve(step.clocks.count * tokens * 2 * halfDim)
    for (index, clock) in step.clocks.enumerated() {
      for token in 0..<tokens {
        let target = angles.pointer + (index * tokens + token) * 2 * halfDim
        rotary.angles(at: clock.position(token), cosine: target, sine: target + halfDim)
        if clock.spread > 0 { rotary.spread(over: clock.spread, cosine: target, sine: target + halfDim) }
      }
    }
  }

  private func prepareDistances(_ step: StepPlan, _ slopes: [Float]) {
    isLinearBias = true
    self.slopes.copy(slopes)
    chunkDistances = step.distances.count
    distances.reserve(chunkDistances + tokens)
    distances.copy(step.distances)
    for token in 0..<tokens { distances.pointer[chunkDistances + token] = Float(-token) }
    lags.reserve(step.clocks.count * tokens)
    for (index, clock) in step.clocks.enumerated() {
      for token in 0..<tokens {
        lags.pointer[index * tokens + token] = Float(Int64(token) - (clock.position(token) - clock.first))
      }
    }
  }

  /// Rotates `heads` vectors of `headDim` of one token by a query clock; copies them where nothing is rotated.
  func rotate(
    _ source: UnsafePointer<Float>, into target: UnsafeMutablePointer<Float>, heads: Int, clock: Int, token: Int,
    _ kernels: InstructionSet
  ) {
    guard halfDim > 0 else { return target.update(from: source, count: heads * headDim) }
    let cosine = angles.pointer + (clock * tokens + token) * 2 * halfDim
    kernels.rotate(
      source, out: target, heads: heads, headStride: headDim, headDim: headDim, rotaryDim: 2 * halfDim,
      layout: layout, cosine: cosine, sine: cosine + halfDim)
  }

  /// Multiplies the rotated queries of some tokens, `width` numbers each, by their layer's scale and their temperatures.
  func scale(
    _ queries: UnsafeMutablePointer<Float>, of tokens: Range<Int>, width: Int, by scale: Float,
    _ kernels: InstructionSet
  ) {
    guard hasTemperature else { return kernels.scale(queries, by: scale, count: tokens.count * width) }
    for (index, token) in tokens.enumerated() {
      kernels.scale(queries + index * width, by: scale * temperatures.pointer[token], count: width)
    }
  }

  /// Turns a key in place by an angle for each pair, cosines followed by sines; nothing without rotation.
  func turn(_ key: UnsafeMutablePointer<Float>, cosine: UnsafePointer<Float>, _ kernels: InstructionSet) {
    guard halfDim > 0 else { return }
    kernels.rotate(
      key, out: key, heads: 1, headStride: headDim, headDim: headDim, rotaryDim: 2 * halfDim,
      layout: layout, cosine: cosine, sine: cosine + halfDim)
  }

  /// What a token's position by a clock stays behind the token's place in the chunk.
  func lag(clock: Int, token: Int) -> Float { lags.pointer[clock * tokens + token] }

  /// Shifts the maxima of a task's rows by the constant in which its tokens differ when they read by a clock.
  func shift(_ maxima: UnsafeMutablePointer<Float>, _ task: AttentionTask, clock: Int, by sign: Float) {
    let slope = slopes.pointer[task.queryHeads.lowerBound]
    for token in task.tokens {
      let lag = lag(clock: clock, token: token)
      if lag != 0 { maxima[token - task.tokens.lowerBound] += sign * slope * lag }
    }
  }
}
