import KVCaches
import Models

/// The kinds of layers of a model, for people to read.
extension ModelConfiguration {
  /// Layers that are alike, in the order in which they first come: how many there are, and what they do.
  var layerKinds: [(count: Int, text: String)] {
    layers.reduce(into: []) { kinds, layer in
      let text = layer.summary
      if let index = kinds.firstIndex(where: { $0.text == text }) {
        kinds[index].count += 1
      } else {
        kinds.append((1, text))
      }
    }
  }
}

extension AttentionLayer {
  /// What the layer remembers and how it attends, on one line.
  fileprivate var summary: String {
    if let recurrence {
      let state = "a recurrent state of \(HumanReadable.count(recurrence.bytes)) bytes, whatever the cache"
      guard let rule = recurrence.deltaRule else { return state + " (a convolution over \(recurrence.span) tokens)" }
      return state + " (delta rule, \(rule.valueHeads) heads of \(rule.keyDim) x \(rule.valueDim))"
    }
    var words = ["\(queryHeads) query, \(keyValueHeads) KV heads of \(headDim) dimensions"]
    if let window { words.append("a window of \(HumanReadable.tokens(window)) of its own") }
    if let keysOfLayer { words.append("reads the keys of layer \(keysOfLayer)") }
    switch positions {
    case .none: words.append("no positions")
    case .linearBias: words.append("ALiBi")
    case .rotary(let rotary):
      let turning = 2 * rotary.frequencies.count { $0 > 1e-20 }
      if turning < headDim { words.append("\(turning) of them rotated") }
    }
    if longPositions != nil { words.append("other rotations in long caches") }
    if temperature != nil { words.append("logits that grow with the position") }
    if let softCap { words.append("logits capped at \(HumanReadable.decimal(Double(softCap), places: 0))") }
    if sinkLogits != nil { words.append("learned sinks") }
    if gates != nil { words.append("gates of a compressive memory") }
    return words.joined(separator: ", ")
  }
}
