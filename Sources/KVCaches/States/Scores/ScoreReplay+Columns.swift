/// From columns of attention to scores.
extension ScoreReplay {
  /// score ← factor × score + what the heads agree on; the chunk's own tokens have no score yet.
  ///
  /// A layer that reads the keys of an earlier one adds to what that one has made of both.
  func updateScores(_ range: Range<Int>, layer: Int, _ step: GroupReplay) {
    let shape = step.shape
    let base = columns.pointer + range.lowerBound
    for group in 1..<max(groupCount, 1) {
      for head in 0..<shape.queryHeads {
        let target = base + head * width
        let source = base + (group * shape.queryHeads + head) * width
        for index in 0..<range.count { target[index] += source[index] }
      }
    }
    let heads = rule.isHomogeneous ? shape.queryHeads : shape.groupSize
    for first in stride(from: 0, to: shape.queryHeads, by: heads) {
      reduce(base + first * width, heads: heads, count: range.count)
    }
    let slots = range.clamped(to: 0..<slots)
    let tokens = range.clamped(to: self.slots..<width)
    for head in 0..<shape.keyValueHeads {
      let place = step.place(layer: layer, head: head)
      guard place >= 0 else { continue }
      let source = columns.pointer + head * shape.groupSize / heads * heads * width
      let scores = scores + place * self.slots
      let adds = step.readsOthersKeys(layer: layer)
      let factor = adds ? 1 : factor
      for slot in slots { scores[slot] = scores[slot] * factor + Double(source[slot]) }
      let chunkScores = chunkScores.pointer + head * step.rows.count - self.slots
      if adds {
        for token in tokens { chunkScores[token] += source[token] }
      } else {
        for token in tokens { chunkScores[token] = source[token] }
      }
    }
  }

  /// Reduces the columns of `heads` heads into the first one's.
  private func reduce(_ columns: UnsafeMutablePointer<Float>, heads: Int, count: Int) {
    guard heads > 1 else { return }
    switch rule.reduction {
    case .maximum:
      for head in 1..<heads {
        let other = columns + head * width
        for slot in 0..<count { columns[slot] = other[slot] > columns[slot] ? other[slot] : columns[slot] }
      }
    case .mean:
      for head in 1..<heads {
        let other = columns + head * width
        for slot in 0..<count { columns[slot] += other[slot] }
      }
      for slot in 0..<count { columns[slot] /= Float(heads) }
    case .median:
      for slot in 0..<count { columns[slot] = median(columns + slot, heads: heads) }
    }
  }

  /// The lower middle value of one slot's heads; sorts them in place.
  private func median(_ values: UnsafeMutablePointer<Float>, heads: Int) -> Float {
    for last in 1..<heads {
      var index = last
      while index > 0, values[index * width] < values[(index - 1) * width] {
        swap(&values[index * width], &values[(index - 1) * width])
        index -= 1
      }
    }
    return values[(heads - 1) / 2 * width]
  }
}
