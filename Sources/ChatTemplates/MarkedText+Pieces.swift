extension MarkedText {
  static let space: @Sendable (UInt32) -> Bool = { PythonScalars.isSpace($0) }

  /// `str.strip`, on either side or both, of scalars of a kind.
  func stripped(leading: Bool = true, trailing: Bool = true, of strip: (UInt32) -> Bool = Self.space) -> MarkedText {
    var start = 0
    var end = count
    if leading { while start < end, strip(units[start]) { start += 1 } }
    if trailing { while end > start, strip(units[end - 1]) { end -= 1 } }
    return start == 0 && end == count ? self : slice(start..<end)
  }

  func stripped(leading: Bool = true, trailing: Bool = true, of characters: MarkedText) -> MarkedText {
    let set = Set(characters.scalars)
    return stripped(leading: leading, trailing: trailing) { set.contains($0 & Self.scalarMask) }
  }

  /// `str.split` at a separator that is not empty, at most `limit` times (negative: everywhere).
  func split(at separator: MarkedText, limit: Int = -1) -> [MarkedText] {
    var pieces: [MarkedText] = []
    var start = 0
    while limit < 0 || pieces.count < limit, let next = firstIndex(of: separator, in: start..<count) {
      pieces.append(slice(start..<next))
      start = next + separator.count
    }
    return pieces + [slice(start..<count)]
  }

  /// `str.rsplit`: the same from the end.
  func splitFromEnd(at separator: MarkedText, limit: Int) -> [MarkedText] {
    var pieces: [MarkedText] = []
    var end = count
    while limit < 0 || pieces.count < limit, let next = lastIndex(of: separator, in: 0..<end) {
      pieces.append(slice(next + separator.count..<end))
      end = next
    }
    return (pieces + [slice(0..<end)]).reversed()
  }

  /// `str.split` without a separator: words between runs of space.
  func words(limit: Int = -1) -> [MarkedText] {
    var pieces: [MarkedText] = []
    var position = 0
    while true {
      while position < count, PythonScalars.isSpace(units[position]) { position += 1 }
      guard position < count else { return pieces }
      if limit >= 0, pieces.count == limit { return pieces + [slice(position..<count)] }
      let start = position
      while position < count, !PythonScalars.isSpace(units[position]) { position += 1 }
      pieces.append(slice(start..<position))
    }
  }

  /// `str.rsplit` without a separator.
  func wordsFromEnd(limit: Int) -> [MarkedText] {
    var pieces: [MarkedText] = []
    var position = count
    while true {
      while position > 0, PythonScalars.isSpace(units[position - 1]) { position -= 1 }
      guard position > 0 else { return pieces.reversed() }
      if limit >= 0, pieces.count == limit { return (pieces + [slice(0..<position)]).reversed() }
      let end = position
      while position > 0, !PythonScalars.isSpace(units[position - 1]) { position -= 1 }
      pieces.append(slice(position..<end))
    }
  }

  /// `str.splitlines`.
  func lines(keepingEnds: Bool = false) -> [MarkedText] {
    var lines: [MarkedText] = []
    var start = 0
    var position = 0
    while position < count {
      guard PythonScalars.isLineBreak(units[position]) else {
        position += 1
        continue
      }
      let end = position
      position += self[position] == 0x0d && position + 1 < count && self[position + 1] == 0x0a ? 2 : 1
      lines.append(slice(start..<(keepingEnds ? position : end)))
      start = position
    }
    if start < count { lines.append(slice(start..<count)) }
    return lines
  }

  /// Where another text stands in this one, from left to right and not overlapping; before every scalar and at the
  /// end for an empty one.
  func occurrences(of other: MarkedText, limit: Int = -1) -> [Int] {
    var found: [Int] = []
    var start = 0
    while limit < 0 || found.count < limit, start <= count, let next = firstIndex(of: other, in: start..<count) {
      found.append(next)
      start = next + max(1, other.count)
    }
    return found
  }

  /// `str.replace`; `occurrences` are those of `old`.
  func replacing(_ old: MarkedText, at occurrences: [Int], with new: MarkedText) -> MarkedText {
    if occurrences.isEmpty { return self }
    var result: [UInt32] = []
    var start = 0
    for place in occurrences {
      result += units[start..<place]
      result += new.units
      start = place + old.count
    }
    result += units[start...]
    return MarkedText(units: result, isMarkup: isMarkup)
  }

  /// Characters of HTML as entities, as MarkupSafe writes them.
  var escaped: MarkedText {
    if isMarkup { return self }
    var result: [UInt32] = []
    for unit in units {
      let entity: String? =
        switch unit & Self.scalarMask {
        case 0x26: "&amp;"
        case 0x3c: "&lt;"
        case 0x3e: "&gt;"
        case 0x27: "&#39;"
        case 0x22: "&#34;"
        default: nil
        }
      if let entity { PythonScalars.append(entity, of: unit, to: &result) } else { result.append(unit) }
    }
    return MarkedText(units: result, isMarkup: true)
  }

  var plain: MarkedText { MarkedText(units: units) }
}
