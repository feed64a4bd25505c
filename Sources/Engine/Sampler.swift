import CLibrary

/// Chooses tokens from logits; its buffers are made once.
package struct Sampler {
  private struct Candidate: Comparable {
    var logit: Float
    var token: Int32

    /// Less likely; of two that are equally likely the one with the higher id.
    static func < (a: Candidate, b: Candidate) -> Bool {
      a.logit < b.logit || (a.logit == b.logit && a.token > b.token)
    }
  }

  package let options: SamplingOptions
  private var random: RandomSource
  private var candidates: [Candidate] = []
  private var rest: [Candidate] = []

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
    let maximum = logits[best]
    collect(logits, maximum: maximum)
    cut(maximum: maximum)
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

  /// Gathers the tokens that a draw could hit.
  private mutating func collect(_ logits: UnsafeMutableBufferPointer<Float>, maximum: Float) {
    candidates.removeAll(keepingCapacity: true)
    // Below this nothing has a probability that a draw in 53 bits could hit.
    let floor = max(maximum - 40 * Float(max(1, options.temperature)), -.greatestFiniteMagnitude)
    for place in logits.indices where logits[place] >= floor && logits[place] < .infinity {
      candidates.append(Candidate(logit: logits[place], token: Int32(place)))
    }
  }

  /// Leaves only the candidates that top-k, top-p and min-p keep, in this order.
  private mutating func cut(maximum: Float) {
    let options = options
    let weight = { (candidate: Candidate) in exp(Double(candidate.logit - maximum)) }
    if options.topK > 0, options.topK < candidates.count {
      keepLikeliest(weight) { count, _ in count < options.topK }
    }
    if options.topP < 1 {
      let wanted = options.topP * candidates.reduce(0) { $0 + weight($1) }
      keepLikeliest(weight) { _, sum in sum < wanted }
    }
    if options.minP > 0 {
      let least = Float(log(options.minP))
      candidates.removeAll { $0.logit - maximum < least }
    }
  }

  /// Leaves the likeliest candidates, as many as `wantsMore` asks for, given their number and the sum of their weights.
  ///
  /// They come off a heap, so that the rest of a large vocabulary is never sorted.
  private mutating func keepLikeliest(_ weight: (Candidate) -> Double, while wantsMore: (Int, Double) -> Bool) {
    swap(&rest, &candidates)
    candidates.removeAll(keepingCapacity: true)
    for place in (0..<rest.count / 2).reversed() { siftDown(place) }
    var sum = 0.0
    while let likeliest = rest.first, candidates.isEmpty || wantsMore(candidates.count, sum) {
      candidates.append(likeliest)
      sum += weight(likeliest)
      rest[0] = rest[rest.count - 1]
      rest.removeLast()
      siftDown(0)
    }
  }

  /// Moves a candidate of the heap `rest` down until none below it is likelier.
  private mutating func siftDown(_ start: Int) {
    var place = start
    while true {
      var likeliest = place
      for child in 2 * place + 1...2 * place + 2 where child < rest.count && rest[child] > rest[likeliest] {
        likeliest = child
      }
      if likeliest == place { return }
      rest.swapAt(place, likeliest)
      place = likeliest
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
