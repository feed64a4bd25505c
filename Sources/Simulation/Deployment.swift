/// Machines that decode one model together, and what they cost.
package struct Deployment: Sendable, Equatable {
  package enum Placement: Sendable, Equatable {
    /// Weights and caches spread evenly over all devices.
    case together(Device, Int)
    /// Weights on some devices, caches and attention on others. Of n batches n − 1 replicas of the model take turns, each of
    /// as many devices; a single batch has one.
    case apart(model: Device, Int, memory: Device, Int, batches: Int)
  }

  /// What lies between machines.
  package struct Network: Sendable, Equatable {
    /// Seconds from sending queries to having their result, beside attention and bytes.
    package var roundTrip: Double
    package var bytesPerSecond: Double

    package init(roundTrip: Double = 33e-6, bytesPerSecond: Double = 45.7e9) {
      precondition(roundTrip >= 0 && bytesPerSecond > 0)
      self.roundTrip = roundTrip
      self.bytesPerSecond = bytesPerSecond
    }
  }

  package var size: ModelSize
  package var placement: Placement
  package var network: Network
  package var efficiency: Efficiency

  package init(
    _ size: ModelSize, _ placement: Placement, network: Network = Network(), efficiency: Efficiency = Efficiency()
  ) {
    self.size = size
    self.placement = placement
    self.network = network
    self.efficiency = efficiency
    switch placement {
    case .together(_, let count): precondition(count > 0)
    case .apart(_, let a, _, let b, let n): precondition(a > 0 && b > 0 && n > 0)
    }
  }

  package var batches: Int { if case .apart(_, _, _, _, let n) = placement { n } else { 1 } }

  /// Replicas of the model.
  package var replicas: Int { max(1, batches - 1) }

  package var dollarsPerHour: Double {
    switch placement {
    case .together(let device, let count): device.dollarsPerHour * Double(count)
    case .apart(let model, let a, let memory, let b, _):
      model.dollarsPerHour * Double(a * replicas) + memory.dollarsPerHour * Double(b)
    }
  }

  package var devices: Int {
    switch placement {
    case .together(_, let count): count
    case .apart(_, let a, _, let b, _): a * replicas + b
    }
  }

  /// Tokens whose keys and values there is room for; 0 where not even the weights have room.
  package var capacity: Int {
    let room: Double
    switch placement {
    case .together(let device, let count):
      room = device.memoryBytes * Double(count) * efficiency.memory - size.weightBytes
    case .apart(let model, let a, let memory, let b, _):
      guard model.memoryBytes * Double(a) * efficiency.memory >= size.weightBytes else { return 0 }
      room = memory.memoryBytes * Double(b) * efficiency.memory
    }
    return Int(max(0, room / size.cacheBytesPerToken))
  }

  package var times: RooflineTimes {
    switch placement {
    case .together(let device, let count):
      RooflineTimes(size, model: (device, count), memory: (device, count), efficiency: efficiency)
    case .apart(let model, let a, let memory, let b, _):
      RooflineTimes(size, model: (model, a), memory: (memory, b), efficiency: efficiency)
    }
  }

  package var pipeline: Pipeline { pipeline(times) }

  /// The same with measured times.
  package func pipeline(_ times: some StepTimes) -> Pipeline {
    var isApart = false
    if case .apart = placement { isApart = true }
    return Pipeline(
      times: times, layers: size.layers, batches: batches, replicas: replicas, capacity: capacity,
      roundTrip: isApart ? network.roundTrip : 0,
      messageSeconds: isApart ? size.messageBytesPerLayer / network.bytesPerSecond : 0)
  }
}

/// What the time of a token depends on, whatever the machines.
package struct Pipeline: Sendable {
  package var times: any StepTimes
  package var layers: Int
  /// Batches that take turns.
  package var batches: Int
  /// Model parts that work at the same time.
  package var replicas: Int
  /// Tokens that all batches may hold together.
  package var capacity: Int
  /// Seconds that an exchange takes in a layer, whatever its size, and those for each token of the batch.
  package var roundTrip: Double
  package var messageSeconds: Double

  package init(
    times: any StepTimes, layers: Int, batches: Int = 1, replicas: Int = 1, capacity: Int, roundTrip: Double = 0,
    messageSeconds: Double = 0
  ) {
    precondition(layers > 0 && batches > 0 && replicas > 0 && capacity >= 0 && roundTrip >= 0 && messageSeconds >= 0)
    self.times = times
    self.layers = layers
    self.batches = batches
    self.replicas = replicas
    self.capacity = capacity
    self.roundTrip = roundTrip
    self.messageSeconds = messageSeconds
  }

  /// Seconds of one layer of one batch: in the model, on the way, in attention.
  package func layer(batch: Double, tokens: Double) -> (model: Double, exchange: Double, attention: Double) {
    let parts = Double(layers)
    return (
      times.model(batch: batch) / parts, roundTrip + messageSeconds * batch,
      times.attention(batch: batch, tokens: tokens) / parts
    )
  }

  /// Seconds between two tokens of a sequence where `batch` sequences, spread evenly over the batches, hold `tokens` tokens:
  /// as long as the busiest part or one batch alone takes.
  package func step(batch: Double, tokens: Double) -> Double {
    let n = Double(batches)
    let part = layer(batch: batch / n, tokens: tokens / n)
    return Double(layers)
      * max(n * part.model / Double(replicas), n * part.attention, part.model + part.exchange + part.attention)
  }

  /// The round trip at which exchanges make a token take 1 + `alpha` times as long: α (M + A) / L.
  package func breakEven(batch: Double, tokens: Double, alpha: Double) -> Double {
    alpha * (times.model(batch: batch) + times.attention(batch: batch, tokens: tokens)) / Double(layers)
  }
}
