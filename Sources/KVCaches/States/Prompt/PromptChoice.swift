/// Which tokens of a prompt win the vote: pooling, budgets and the choice itself, on plain numbers.
enum PromptChoice {
  /// Pools votes along the sequence.
  ///
  /// - Parameters:
  ///   - votes: `[token]`, of `count` tokens
  ///   - pooled: `[token]`, what comes out; apart from `votes`
  static func pool(
    _ votes: UnsafePointer<Float>, count: Int, by pooling: Prompt.Pooling, into pooled: UnsafeMutablePointer<Float>
  ) {
    let reach = pooling.kernel / 2
    for token in 0..<count {
      let range = max(0, token - reach)..<min(count, token + reach + 1)
      switch pooling {
      case .none: pooled[token] = votes[token]
      case .maximum:
        var largest = -Float.infinity
        for index in range where votes[index] > largest { largest = votes[index] }
        pooled[token] = largest
      case .average(let kernel):
        var sum: Float = 0
        for index in range { sum += votes[index] }
        pooled[token] = sum / Float(kernel)
      }
      // Broken numbers lose every comparison.
      if !(pooled[token] > -.infinity) { pooled[token] = -.infinity }
    }
  }

  /// The tokens that each layer chooses for a head, where the mean over the layers is `mean` and `available` can be had.
  ///
  /// A pyramid's first layer never gets more than there is: it is then flatter, with the same total (PyramidKV, whose
  /// published ratio of 20 between the mean and the last layer this takes over).
  static func budgets(_ budgets: Prompt.LayerBudgets, mean: Int, available: Int, layers: Int) -> [Int] {
    guard budgets == .pyramid, layers > 1, mean < available else { return [Int](repeating: mean, count: layers) }
    let first = min(2 * mean - mean / 20, available)
    let last = 2 * mean - first
    // Layer i gets first - (first - last) × i / (layers - 1); rounding the running sum keeps the total.
    let sum = { (count: Int) in
      count * first - ((first - last) * count * (count - 1) + layers - 1) / (2 * (layers - 1))
    }
    return (0..<layers).map { sum($0 + 1) - sum($0) }
  }

  /// The tokens that a head keeps under Ada-KV, which has `won` of a layer's most votes: the authors'
  /// round(0.8 won + floor(0.2 budget)), with 0.2 and 0.8 in fifths.
  static func adaptiveBudget(won: Int, budget: Int) -> Int { (4 * won + 5 * (budget / 5) + 2) / 5 }

  /// Marks the tokens that a layer chooses.
  ///
  /// - Parameters:
  ///   - scores: pooled votes, head after head
  ///   - heads: the range of each KV head in `scores`
  ///   - budget: tokens to choose for a head, in the mean
  /// - Returns: whether a token is chosen, as `scores`.
  static func choose(
    _ scores: UnsafePointer<Float>, heads: [Range<Int>], budget: Int, _ budgets: Prompt.HeadBudgets
  ) -> [Bool] {
    let count = heads.last?.upperBound ?? 0
    var chosen = [Bool](repeating: false, count: count)
    switch budgets {
    case .uniform:
      for head in heads { choose(budget, scores, of: head, &chosen) }
    case .adaptive:
      guard count > heads.count * budget else { return [Bool](repeating: true, count: count) }
      var winners = chosen
      choose(heads.count * budget, scores, of: 0..<count, &winners)
      for head in heads {
        let won = winners[head].count { $0 }
        choose(adaptiveBudget(won: won, budget: budget), scores, of: head, &chosen)
      }
    case .floor:
      for head in heads { choose(budget / 5, scores, of: head, &chosen) }
      let missing = heads.count * budget - heads.reduce(0) { $0 + min(budget / 5, $1.count) }
      choose(missing, scores, of: 0..<count, &chosen)
    }
    return chosen
  }

  /// Marks the `count` tokens of a range with the highest scores of those not yet chosen; of equal ones the first.
  private static func choose(
    _ count: Int, _ scores: UnsafePointer<Float>, of range: Range<Int>, _ chosen: inout [Bool]
  ) {
    var rest: [Float] = []
    rest.reserveCapacity(range.count)
    for index in range where !chosen[index] { rest.append(scores[index]) }
    guard count > 0 else { return }
    guard count < rest.count else {
      for index in range { chosen[index] = true }
      return
    }
    let threshold = value(ofRank: count - 1, &rest)
    var equal = count
    for index in range where !chosen[index] && scores[index] > threshold {
      chosen[index] = true
      equal -= 1
    }
    for index in range where equal > 0 && !chosen[index] && scores[index] == threshold {
      chosen[index] = true
      equal -= 1
    }
  }

  /// The number that `rank` others may stand before in descending order; linear in the mean (quickselect).
  private static func value(ofRank rank: Int, _ numbers: inout [Float]) -> Float {
    var (first, last) = (0, numbers.count - 1)
    while first < last {
      let ends = (min(numbers[first], numbers[last]), max(numbers[first], numbers[last]))
      let pivot = max(ends.0, min(numbers[(first + last) / 2], ends.1))
      var (left, right) = (first, last)
      while left <= right {
        while numbers[left] > pivot { left += 1 }
        while numbers[right] < pivot { right -= 1 }
        if left <= right {
          numbers.swapAt(left, right)
          left += 1
          right -= 1
        }
      }
      if rank <= right {
        last = right
      } else if rank >= left {
        first = left
      } else {
        return numbers[rank]
      }
    }
    return numbers[rank]
  }
}
