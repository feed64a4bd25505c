#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Chooses tokens from logits; its buffers are made once.
package struct Sampler {
  private struct Candidate {
    var logit: Float
    var token: Int32
  }

  package let options: SamplingOptions
  private var random: RandomSource
  private var candidates: [Candidate] = []

  /// - Precondition: the options have no `problem`.
  package init(_ options: SamplingOptions) {
    precondition(options.problem == nil, "impossible sampling options")
    self.options = options
    random = RandomSource(seed: options.seed ?? UInt64.random(in: 0 ... .max))
  }

  /// The next token; logits of recent tokens are changed in place by penalties. Values that are not numbers are never
  /// chosen.
  ///
  /// - Returns: nil where no logit is a finite number.
  package mutating func sample(_ logits: UnsafeMutableBufferPointer<Float>, after log: TokenLog) -> Int32? {
    penalize(logits, log)
    guard let best = Self.largest(logits) else { return nil }
    if options.temperature == 0 { return Int32(best) }
    collect(logits, maximum: logits[best])
    sortAndCut()
    return draw()
  }

  /// The index of the largest number, the lowest one among equals.
  package static func largest(_ logits: UnsafeMutableBufferPointer<Float>) -> Int? {
    var best = -Float.infinity
    var index: Int?
    for place in logits.indices where logits[place] > best && logits[place] < .infinity {
      best = logits[place]
      index = place
    }
    return index
  }

  private func penalize(_ logits: UnsafeMutableBufferPointer<Float>, _ log: TokenLog) {
    let active =
      options.repetitionPenalty != 1 || options.presencePenalty != 0 || options.frequencyPenalty != 0
    guard active else { return }
    var counts: [Int32: Int] = [:]
    for back in 0..<min(options.penaltyWindow, log.count) { counts[log[back: back], default: 0] += 1 }
    for (token, count) in counts where logits.indices.contains(Int(token)) {
      var logit = Double(logits[Int(token)])
      logit = logit > 0 ? logit / options.repetitionPenalty : logit * options.repetitionPenalty
      logits[Int(token)] = Float(logit - options.presencePenalty - options.frequencyPenalty * Double(count))
    }
  }

  /// Gathers the tokens that top-k and min-p cannot rule out at once.
  private mutating func collect(_ logits: UnsafeMutableBufferPointer<Float>, maximum: Float) {
    candidates.removeAll(keepingCapacity: true)
    // Below this nothing has a probability that a draw in 53 bits could hit.
    let floor = maximum - 40 * Float(max(1, options.temperature))
    let cut = options.minP > 0 ? max(floor, maximum + Float(log(options.minP))) : floor
    for place in logits.indices where logits[place] >= cut && logits[place] < .infinity {
      candidates.append(Candidate(logit: logits[place], token: Int32(place)))
    }
  }

  private mutating func sortAndCut() {
    guard options.topK > 0 || options.topP < 1 else { return }
    candidates.sort { $0.logit > $1.logit || ($0.logit == $1.logit && $0.token < $1.token) }
    if options.topK > 0, candidates.count > options.topK { candidates.removeLast(candidates.count - options.topK) }
    guard options.topP < 1 else { return }
    let maximum = candidates[0].logit
    let total = candidates.reduce(0) { $0 + exp(Double($1.logit - maximum)) }
    var sum = 0.0
    for index in candidates.indices {
      sum += exp(Double(candidates[index].logit - maximum))
      if sum >= options.topP * total {
        candidates.removeLast(candidates.count - index - 1)
        return
      }
    }
  }

  private mutating func draw() -> Int32 {
    let maximum = candidates.reduce(-.infinity) { max($0, $1.logit) }
    let temperature = options.temperature
    let weight = { (candidate: Candidate) in exp(Double(candidate.logit - maximum) / temperature) }
    var target = random.unit() * candidates.reduce(0) { $0 + weight($1) }
    for candidate in candidates {
      target -= weight(candidate)
      if target < 0 { return candidate.token }
    }
    return candidates[candidates.count - 1].token
  }
}
