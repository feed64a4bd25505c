/// What a deployment does with requests of some lengths when there are always more of them, from means alone.
package struct Forecast: Sendable, Equatable {
  /// Sequences that run at a time.
  package var batch: Double
  /// Seconds between two tokens of a sequence.
  package var tokenSeconds: Double
  package var tokensPerSecond: Double

  /// Requests are let in where prompt and answer fit to their end. Memory that is left over because the next request does not
  /// fit is not counted; `PipelineRun` does.
  package init(_ pipeline: Pipeline, _ trace: RequestTrace, mostBatch: Double = .infinity) {
    batch = min(Double(pipeline.capacity) / trace.meanReserved, mostBatch)
    guard batch > 0 else {
      (tokenSeconds, tokensPerSecond) = (.infinity, 0)
      return
    }
    tokenSeconds = pipeline.step(batch: batch, tokens: batch * trace.meanContext)
    tokensPerSecond = batch / tokenSeconds
  }
}
