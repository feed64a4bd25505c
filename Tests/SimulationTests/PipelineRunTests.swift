import Testing

@testable import Simulation

/// Times that are the same whatever the batch.
struct FixedTimes: StepTimes {
  var modelSeconds: Double
  var attentionSeconds: Double

  func model(batch: Double) -> Double { modelSeconds }
  func attention(batch: Double, tokens: Double) -> Double { attentionSeconds }
}

/// Layers, batches and replicas at work, against closed forms.
struct PipelineRunTests {
  private let fixed = RequestTrace(name: "fixed", prompt: 10, output: 5, spread: .fixed)

  private func options(warmUp: Int = 20, steps: Int = 100) -> PipelineRun.Options {
    var options = PipelineRun.Options()
    (options.warmUp, options.steps) = (warmUp, steps)
    return options
  }

  /// With t_a = t_m / (n - 1) nobody ever waits: a batch starts slice k at j + k n in units of t_a (specification, section 7).
  @Test(arguments: 2...5) func `n batches keep both sides busy all the time`(n: Int) {
    let layers = 8
    let pipeline = Pipeline(
      times: FixedTimes(modelSeconds: Double((n - 1) * layers), attentionSeconds: Double(layers)), layers: layers,
      batches: n, replicas: n - 1, capacity: 15 * 4 * n)
    let run = PipelineRun(pipeline, fixed, options: options())
    #expect(abs(run.modelUse - 1) < 1e-3 && abs(run.attentionUse - 1) < 1e-3)
    // Each of the n batches has four sequences and a step of layers · n.
    let expected = 4 / Double(layers)
    #expect(abs(run.tokensPerSecond / expected - 1) < 1e-2)
    #expect(abs(run.batch - Double(4 * n)) < 1e-9)
    #expect(abs(run.tokenSeconds - Double(layers * n)) < 1e-6)
    #expect(n == 2 ? run.migrations == 0 : run.migrations > 0.9)
  }

  @Test(arguments: [
    (1, 1, 3.0, 1.0, 0.0), (1, 1, 3.0, 1.0, 2.0), (2, 1, 3.0, 1.0, 0.5), (2, 1, 1.0, 3.0, 0.5), (2, 1, 1.0, 1.0, 8.0),
    (3, 2, 2.0, 1.0, 0.25), (3, 2, 6.0, 1.0, 0.25), (4, 3, 1.0, 1.0, 0.5), (4, 3, 1.0, 0.25, 16.0),
  ])
  func `as fast as the busiest part or one batch allows`(
    n: Int, replicas: Int, model: Double, attention: Double, exchange: Double
  ) {
    let layers = 4
    let pipeline = Pipeline(
      times: FixedTimes(modelSeconds: model * Double(layers), attentionSeconds: attention * Double(layers)),
      layers: layers, batches: n, replicas: replicas, capacity: 15 * 2 * n, roundTrip: exchange)
    let run = PipelineRun(pipeline, fixed, options: options(warmUp: 50, steps: 400))
    let step = pipeline.step(batch: Double(2 * n), tokens: 0)
    #expect(abs(run.tokenSeconds / step - 1) < 1e-2, "\(run.tokenSeconds) in place of \(step)")
    #expect(abs(run.tokensPerSecond * step / Double(2 * n) - 1) < 1e-2)
    let turns = Double(n * layers) / step
    #expect(abs(run.modelUse - turns * model / Double(replicas)) < 1e-2)
    #expect(abs(run.attentionUse - turns * attention) < 1e-2)
  }

  @Test func `bytes take their time`() {
    let pipeline = Pipeline(
      times: FixedTimes(modelSeconds: 4, attentionSeconds: 4), layers: 4, capacity: 15 * 8, roundTrip: 0.5,
      messageSeconds: 0.25)
    #expect(pipeline.step(batch: 8, tokens: 0) == 4 * (1 + 1 + 0.5 + 0.25 * 8))
    let run = PipelineRun(pipeline, fixed, options: options())
    #expect(abs(run.tokenSeconds - pipeline.step(batch: 8, tokens: 0)) < 1e-9)
  }

  @Test func `memory bounds the batch, and what is held is what closed forms say`() {
    // A sequence takes 15 tokens at its end and holds 10 to 14 while it writes.
    let pipeline = Pipeline(times: FixedTimes(modelSeconds: 1, attentionSeconds: 1), layers: 1, capacity: 15 * 7 + 14)
    let run = PipelineRun(pipeline, fixed, options: options())
    #expect(run.batch == 7 && run.refused == 0)
    #expect(abs(run.tokensHeld - 7 * fixed.meanContext) < 0.5)
    #expect(run.finished == 7 * 100 / 5)
  }

  @Test(arguments: [1, 2]) func `geometric lengths fill memory as their means say`(batches: Int) {
    let trace = RequestTrace(name: "geometric", prompt: 40, output: 20)
    let pipeline = Pipeline(
      times: FixedTimes(modelSeconds: 1, attentionSeconds: 0.5), layers: 1, batches: batches, capacity: 40_000)
    let run = PipelineRun(pipeline, trace, options: options(warmUp: 500, steps: 4000))
    let forecast = Forecast(pipeline, trace)
    #expect(abs(run.batch / forecast.batch - 1) < 0.03, "\(run.batch) in place of \(forecast.batch)")
    #expect(abs(run.tokensHeld / run.batch / trace.meanContext - 1) < 0.03)
    #expect(abs(run.tokensPerSecond / forecast.tokensPerSecond - 1) < 0.03)
    // Every token is one of a request's output: throughput is requests a second times tokens of one.
    let seconds = 4000 * pipeline.step(batch: 1, tokens: 0)
    let perRequest = run.tokensPerSecond * seconds / Double(run.finished)
    #expect(abs(perRequest / trace.output - 1) < 0.03)
  }

  @Test func `the same seed gives the same run, another one another`() {
    let trace = RequestTrace(name: "geometric", prompt: 40, output: 20)
    let pipeline = Pipeline(times: FixedTimes(modelSeconds: 1, attentionSeconds: 0.5), layers: 2, capacity: 2000)
    var other = options()
    other.seed = 2
    let run = PipelineRun(pipeline, trace, options: options())
    #expect(run == PipelineRun(pipeline, trace, options: options()))
    #expect(run != PipelineRun(pipeline, trace, options: other))
  }

  @Test func `a machine without room for anyone does nothing`() {
    let pipeline = Pipeline(times: FixedTimes(modelSeconds: 1, attentionSeconds: 1), layers: 2, batches: 2, capacity: 9)
    let run = PipelineRun(pipeline, fixed, options: options())
    #expect(run.tokensPerSecond == 0 && run.batch == 0 && run.refused > 0)
  }
}
