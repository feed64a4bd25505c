package import Engine
package import KVCaches
import Kernels
import Models

/// How long the two parts of a decode step take: attention, and all the rest, by sequences and by tokens that each holds.
package final class StepTimesRun {
  package struct Options: Sendable {
    /// Sequences that are decoded together.
    package var batches = [1, 2, 4, 8]
    /// Tokens that each sequence holds before.
    package var lengths = [64, 512, 2048]
    /// Steps of a measurement.
    package var steps = 16

    package init() {}
  }

  /// Seconds of a step.
  package struct Times: Sendable {
    /// `[batch]`
    package var model: [Double]
    /// `[batch][length]`
    package var attention: [[Double]]

    /// The fastest of each, since other programs only add time.
    ///
    /// - Precondition: there is one, and all are of the same run.
    package init(fastestOf rounds: [Times]) {
      precondition(!rounds.isEmpty)
      self = rounds[0]
      for other in rounds.dropFirst() {
        for batch in model.indices {
          model[batch] = min(model[batch], other.model[batch])
          for length in attention[batch].indices {
            attention[batch][length] = min(attention[batch][length], other.attention[batch][length])
          }
        }
      }
    }

    /// The mean of each.
    ///
    /// - Precondition: there is one, and all are of the same run.
    package init(meanOf rounds: [Times]) {
      precondition(!rounds.isEmpty)
      let count = Double(rounds.count)
      self = rounds[0]
      for batch in model.indices {
        model[batch] = rounds.reduce(0) { $0 + $1.model[batch] } / count
        for length in attention[batch].indices {
          attention[batch][length] = rounds.reduce(0) { $0 + $1.attention[batch][length] } / count
        }
      }
    }

    fileprivate init(batches: Int, lengths: Int) {
      model = [Double](repeating: 0, count: batches)
      attention = model.map { _ in [Double](repeating: 0, count: lengths) }
    }
  }

  private static let stepsToWarmUp = 8
  private let options: Options
  private let stepper: DecodeStepper

  /// Caches are filled with noise, on which time does not depend.
  ///
  /// - Throws: `KVCacheError` where the caches do not fit the model or this machine.
  package init(_ engine: InferenceEngine, slotType: KVCache.SlotType, options: Options = Options()) throws(KVCacheError)
  {
    self.options = options
    let most = (options.lengths.max() ?? 0) + options.steps + Self.stepsToWarmUp
    stepper = try DecodeStepper(engine, sequences: options.batches.max() ?? 1, tokens: most, slotType: slotType)
  }

  /// Measures all once; batches and lengths take turns, so that a busy moment does not hit one alone.
  package func measure() -> Times {
    var times = Times(batches: options.batches.count, lengths: options.lengths.count)
    for (place, length) in options.lengths.enumerated() {
      for (index, batch) in options.batches.enumerated() {
        for sequence in 0..<batch { stepper.fill(sequence, tokens: length) }
        // What was measured before has left other things in the processor's caches.
        for _ in 0..<Self.stepsToWarmUp { stepper.step(batch) }
        stepper.timed.seconds = 0
        let seconds = MachineLimits.fastest(of: 1) { for _ in 0..<options.steps { stepper.step(batch) } }
        let steps = Double(options.steps)
        // The mean over lengths: what is held to it is a mean too, and the fastest of several would be faster.
        times.model[index] += (seconds - stepper.timed.seconds) / steps / Double(options.lengths.count)
        times.attention[index][place] = stepper.timed.seconds / steps
      }
    }
    return times
  }

  /// The time of a step of `sequences` places in which requests follow each other, attention and the rest; their prompts are
  /// there at once and take no time.
  ///
  /// - Parameter next: tokens of a prompt and of its answer, for each request
  package static func meanStep(
    _ engine: InferenceEngine, slotType: KVCache.SlotType, sequences: Int, steps: Int, mostTokens: Int,
    next: () -> (prompt: Int, output: Int)
  ) throws(KVCacheError) -> (model: Double, attention: Double) {
    let stepper = try DecodeStepper(engine, sequences: sequences, tokens: mostTokens, slotType: slotType)
    var (left, first) = ([Int](repeating: 0, count: sequences), [Int](repeating: 0, count: sequences))
    var seconds = 0.0
    for step in -stepsToWarmUp..<steps {
      // Steps to warm up are taken from where the first ones are.
      if step == 0 {
        for index in left.indices { stepper.fill(index, tokens: first[index]) }
        (seconds, stepper.timed.seconds) = (0, 0)
      }
      for index in left.indices where left[index] == 0 {
        let request = next()
        precondition(request.prompt + request.output <= mostTokens, "a request longer than its cache")
        stepper.fill(index, tokens: request.prompt)
        left[index] = request.output
        if step < 0 { first[index] = request.prompt }
      }
      seconds += MachineLimits.fastest(of: 1) { stepper.step(sequences) }
      for index in left.indices where step >= 0 { left[index] -= 1 }
    }
    let attention = stepper.timed.seconds / Double(steps)
    return (seconds / Double(steps) - attention, attention)
  }
}

/// Single tokens of several sequences with all their logits, and how much of that is attention.
private final class DecodeStepper {
  let timed: TimedAttention
  private let engine: InferenceEngine
  private let caches: [KVCache]
  private let tokens: [Int32]

  init(
    _ engine: InferenceEngine, sequences: Int, tokens: Int, slotType: KVCache.SlotType
  ) throws(KVCacheError) {
    precondition(sequences > 0 && sequences <= engine.chunk)
    var options = SpeedRun.Options()
    (options.depth, options.decode, options.prefill, options.sequences) = (tokens, 1, 1, sequences)
    try SpeedRun.checkMemory(engine, .full, slotType, options)
    self.engine = engine
    timed = TimedAttention(
      LocalAttention(layers: engine.model.configuration.layers, team: engine.team, kernels: engine.kernels))
    var caches: [KVCache] = []
    for _ in 0..<sequences { caches.append(try engine.makeCache(.full, slotType: slotType)) }
    self.caches = caches
    self.tokens = (0..<sequences).map { Int32(($0 + 1) * 7919 % engine.vocabularySize) }
  }

  /// Has a sequence hold so many tokens, of noise.
  func fill(_ sequence: Int, tokens: Int) {
    caches[sequence].reset()
    caches[sequence].fill(tokens: tokens, kernels: engine.kernels)
  }

  /// Gives the first `count` sequences a token.
  func step(_ count: Int) {
    timed.beginStep((0..<count).map { LocalAttention.Segment(memory: caches[$0], rows: $0..<$0 + 1) })
    tokens.withUnsafeBufferPointer {
      engine.model.forward(
        UnsafeBufferPointer(rebasing: $0[..<count]), attention: timed, workspace: engine.workspace, team: engine.team)
    }
    engine.forEachLogits(of: engine.rows(0..<count)) { _, _ in }
  }
}

/// Attention with a clock around it.
private final class TimedAttention: LayerAttention {
  private let inner: LocalAttention
  private let clock = ContinuousClock()
  var seconds = 0.0

  init(_ inner: LocalAttention) { self.inner = inner }

  func beginStep(_ segments: [LocalAttention.Segment]) { time { inner.beginStep(segments) } }

  func begin(layer: Int, queries: UnsafePointer<Float>) { time { inner.begin(layer: layer, queries: queries) } }

  func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>
  ) { time { inner.finish(layer: layer, keys: keys, values: values, output: output) } }

  func convolve(
    layer: Int, _ convolution: Convolution, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) { inner.convolve(layer: layer, convolution, input: input, output: output) }

  func applyDeltaRule(layer: Int, _ call: DeltaRuleCall) { inner.applyDeltaRule(layer: layer, call) }

  private func time(_ body: () -> Void) {
    let start = clock.now
    body()
    seconds += (clock.now - start) / .seconds(1)
  }
}
