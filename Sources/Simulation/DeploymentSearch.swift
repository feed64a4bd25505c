/// Which machines give most tokens for a dollar.
package struct DeploymentSearch: Sendable {
  package struct Found: Sendable, Equatable {
    package var deployment: Deployment
    package var forecast: Forecast

    package var tokensPerDollar: Double { forecast.tokensPerSecond * 3600 / deployment.dollarsPerHour }
  }

  package var size: ModelSize
  package var trace: RequestTrace
  package var network = Deployment.Network()
  package var efficiency = Efficiency()
  /// The most devices of one kind.
  package var mostDevices = 8
  /// The most batches that take turns.
  package var mostBatches = 4
  /// The longest that a token may take.
  package var mostTokenSeconds = 0.2

  package init(_ size: ModelSize, _ trace: RequestTrace) {
    self.size = size
    self.trace = trace
  }

  /// The most tokens for a dollar from devices of one kind that do everything.
  package func together(_ device: Device) -> Found? {
    best((1...mostDevices).map { .together(device, $0) })
  }

  /// The most from some devices for weights and others for caches.
  package func apart(model: Device, memory: Device) -> Found? {
    let counts = 1...mostDevices
    return best(
      counts.flatMap { a in
        counts.flatMap { b in
          (1...mostBatches).map { .apart(model: model, a, memory: memory, b, batches: $0) }
        }
      })
  }

  private func best(_ placements: [Deployment.Placement]) -> Found? {
    let found = placements.compactMap { evaluate($0) }
    return found.max {
      $0.tokensPerDollar < $1.tokensPerDollar
        || ($0.tokensPerDollar == $1.tokensPerDollar && $0.deployment.devices > $1.deployment.devices)
    }
  }

  /// What a placement gives, with as many sequences as fit and keep to the longest time of a token; nil where none do.
  package func evaluate(_ placement: Deployment.Placement) -> Found? {
    let deployment = Deployment(size, placement, network: network, efficiency: efficiency)
    let pipeline = deployment.pipeline
    let full = Forecast(pipeline, trace)
    // A batch of less than one is memory too small for a request.
    guard full.batch >= Double(pipeline.batches) else { return nil }
    if full.tokenSeconds <= mostTokenSeconds { return Found(deployment: deployment, forecast: full) }
    // The time of a token rises with the batch, so halving finds the most that are quick enough.
    var (low, high) = (0.0, full.batch)
    for _ in 0..<50 {
      let middle = (low + high) / 2
      if Forecast(pipeline, trace, mostBatch: middle).tokenSeconds <= mostTokenSeconds {
        low = middle
      } else {
        high = middle
      }
    }
    guard low >= Double(pipeline.batches) else { return nil }
    return Found(deployment: deployment, forecast: Forecast(pipeline, trace, mostBatch: low))
  }
}
