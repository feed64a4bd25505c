import CLibrary
import KVCaches

/// How a model stretches its rotary embedding beyond the length of its first training.
enum RotaryScaling {
  case none
  /// All frequencies divided by a factor.
  case linear(factor: Double)
  /// Llama 3.1: slow frequencies divided by a factor, fast ones kept, a ramp between.
  case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalLength: Double)
  /// One divisor per pair, as GGUF files store it, before any other stretch.
  indirect case factors([Double], then: RotaryScaling = .none)
  /// YaRN (Peng et al., arXiv 2309.00071): as Llama 3.1 with a ramp over pairs.
  case yarn(YaRN)
  /// LongRoPE (Ding et al., arXiv 2402.13753): one divisor per pair, others beyond the original length.
  case long(short: [Double], long: [Double], originalLength: Int, magnitude: Double)

  struct YaRN {
    var factor: Double
    var originalLength: Double
    /// Turns over the original length above which a pair keeps its frequency, and below which it is divided.
    var fastTurns: Double
    var slowTurns: Double
    /// Whether the ends of the ramp are whole pairs.
    var truncates: Bool
    var base: Double
    var magnitude: Double

    func apply(to frequencies: [Double]) -> [Double] {
      let dim = Double(2 * frequencies.count)
      let pair = { (turns: Double) in dim * log(originalLength / (turns * 2 * .pi)) / (2 * log(base)) }
      var (low, high) = (pair(fastTurns), pair(slowTurns))
      if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
      (low, high) = (max(low, 0), min(high, dim - 1))
      if low == high { high += 0.001 }
      return frequencies.enumerated().map { index, frequency in
        let ramp = min(max((Double(index) - low) / (high - low), 0), 1)
        return frequency / factor * ramp + frequency * (1 - ramp)
      }
    }
  }

  func apply(to frequencies: [Double]) -> [Double] {
    switch self {
    case .none: frequencies
    case .linear(let factor): frequencies.map { $0 / factor }
    case .factors(let factors, let scaling): scaling.apply(to: zip(frequencies, factors).map { $0 / $1 })
    case .yarn(let yarn): yarn.apply(to: frequencies)
    case .long(let short, _, _, _): zip(frequencies, short).map { $0 / $1 }
    case .llama3(let factor, let low, let high, let length):
      frequencies.map { frequency in
        let turns = length * frequency / (2 * .pi)
        let ramp = min(max((turns - low) / (high - low), 0), 1)
        return frequency * ((1 - ramp) / factor + ramp)
      }
    }
  }

  /// What cosines and sines are multiplied by.
  var magnitude: Double {
    switch self {
    case .factors(_, let scaling): scaling.magnitude
    case .yarn(let yarn): yarn.magnitude
    case .long(_, _, _, let magnitude): magnitude
    default: 1
    }
  }
}
