import KVCaches

/// How a model stretches its rotary embedding beyond the length of its first training.
enum RotaryScaling {
  case none
  /// All frequencies divided by a factor.
  case linear(factor: Double)
  /// Llama 3.1: slow frequencies divided by a factor, fast ones kept, a ramp between.
  case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalLength: Double)
  /// One divisor per pair, as GGUF files store it.
  case factors([Double])

  func apply(to frequencies: [Double]) -> [Double] {
    switch self {
    case .none: frequencies
    case .linear(let factor): frequencies.map { $0 / factor }
    case .factors(let factors): zip(frequencies, factors).map { $0 / $1 }
    case .llama3(let factor, let low, let high, let length):
      frequencies.map { frequency in
        let turns = length * frequency / (2 * .pi)
        let ramp = min(max((turns - low) / (high - low), 0), 1)
        return frequency * ((1 - ramp) / factor + ramp)
      }
    }
  }
}
