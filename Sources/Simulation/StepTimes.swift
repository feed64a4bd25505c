/// How long the two parts of a decode step take.
package protocol StepTimes: Sendable {
  /// Seconds of all that is not attention, for `batch` tokens together: M(B) of Lamina's paper.
  func model(batch: Double) -> Double

  /// Seconds of attention, to sequences that hold `tokens` tokens together: A(B, l).
  func attention(batch: Double, tokens: Double) -> Double
}

/// Times by what devices can do at most, times the share that they reach.
///
/// The model takes 2 N B operations and reads e N bytes of weights and 2 e B d of activations, whichever takes longer;
/// attention reads all keys and values, and takes 4 operations for each query's number and token (section 3 of the paper).
package struct RooflineTimes: StepTimes {
  package let size: ModelSize
  private let modelOperations: Double
  private let modelBandwidth: Double
  private let attentionOperations: Double
  private let attentionBandwidth: Double

  /// - Parameters:
  ///   - model: the device of the model, and how many share it evenly
  ///   - memory: the device of attention, and how many
  package init(
    _ size: ModelSize, model: (device: Device, count: Int), memory: (device: Device, count: Int),
    efficiency: Efficiency
  ) {
    precondition(model.count > 0 && memory.count > 0)
    self.size = size
    modelOperations = model.device.operationsPerSecond * Double(model.count) * efficiency.operations
    modelBandwidth = model.device.bytesPerSecond * Double(model.count) * efficiency.bandwidth
    attentionOperations = memory.device.operationsPerSecond * Double(memory.count) * efficiency.operations
    attentionBandwidth = memory.device.bytesPerSecond * Double(memory.count) * efficiency.bandwidth
  }

  package func model(batch: Double) -> Double {
    guard batch > 0 else { return 0 }
    let bytes = size.weightBytes + 2 * size.bytesPerNumber * batch * Double(size.hidden)
    return max(2 * size.parameters * batch / modelOperations, bytes / modelBandwidth)
  }

  package func attention(batch: Double, tokens: Double) -> Double {
    max(
      4 * Double(size.queryWidth * size.layers) * tokens / attentionOperations,
      size.cacheBytesPerToken * tokens / attentionBandwidth)
  }
}

/// Times that were measured for some batches and lengths; straight lines between and beyond them. One batch stands for all.
package struct MeasuredTimes: StepTimes, Equatable {
  /// Rising.
  package let batches: [Double]
  /// Tokens that each sequence holds, rising.
  package let lengths: [Double]
  /// `[batch]`
  package let modelSeconds: [Double]
  /// `[batch][length]`
  package let attentionSeconds: [[Double]]

  /// Nil unless there are a batch and two lengths or more, rising, and a positive number for every place.
  package init?(batches: [Double], lengths: [Double], modelSeconds: [Double], attentionSeconds: [[Double]]) {
    let isRising = { (values: [Double]) in
      !values.isEmpty && values[0] >= 0 && zip(values, values.dropFirst()).allSatisfy { $0 < $1 }
    }
    let arePositive = { (values: [Double], count: Int) in
      values.count == count && values.allSatisfy { $0 > 0 && $0 < 1e6 }
    }
    guard isRising(batches), lengths.count > 1, isRising(lengths), arePositive(modelSeconds, batches.count),
      attentionSeconds.count == batches.count, attentionSeconds.allSatisfy({ arePositive($0, lengths.count) })
    else { return nil }
    self.batches = batches
    self.lengths = lengths
    self.modelSeconds = modelSeconds
    self.attentionSeconds = attentionSeconds
  }

  package func model(batch: Double) -> Double {
    batch > 0 ? Self.line(batches, modelSeconds, at: batch) : 0
  }

  package func attention(batch: Double, tokens: Double) -> Double {
    guard batch > 0 else { return 0 }
    let ofLength = attentionSeconds.map { Self.line(lengths, $0, at: tokens / batch) }
    return Self.line(batches, ofLength, at: batch)
  }

  /// The value at `x` on straight lines through points; nothing takes less than no time.
  private static func line(_ xs: [Double], _ ys: [Double], at x: Double) -> Double {
    guard xs.count > 1 else { return ys[0] }
    let right = min(max(xs.firstIndex { $0 >= x } ?? xs.count - 1, 1), xs.count - 1)
    let share = (x - xs[right - 1]) / (xs[right] - xs[right - 1])
    return max(0, ys[right - 1] + share * (ys[right] - ys[right - 1]))
  }
}
