/// Finds stop strings in text that arrives in pieces, and holds back what may still become one.
///
/// The text ends with the stop string that is complete first, of several that end together the longest; so the result
/// does not depend on the pieces.
package struct StopStrings: Sendable {
  private let stops: [[UInt8]]
  /// The longest end of the text so far with which a stop string could start.
  private var held: [UInt8] = []
  /// The stop string that was met.
  package private(set) var met: String?

  /// - Parameter stops: empty strings are ignored.
  package init(_ stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }.sorted { $0.count > $1.count }
  }

  /// Takes in text and returns what can be shown, and whether a stop string was met (which is not shown).
  package mutating func append(_ text: String) -> (text: String, stopped: Bool) {
    guard !stops.isEmpty else { return (text, false) }
    let first = held.count
    held += Array(text.utf8)
    for end in first..<held.count {
      guard let stop = stops.first(where: { held[...end].ends(with: $0) }) else { continue }
      defer { held = [] }
      met = String(decoding: stop, as: UTF8.self)
      return (String(decoding: held[...(end - stop.count)], as: UTF8.self), true)
    }
    let longest = stops.map { held.lengthOfEnd(startingLike: $0) }.max() ?? 0
    return (release(upTo: held.count - longest), false)
  }

  /// What was held back when the text ends.
  package mutating func finish() -> String { release(upTo: held.count) }

  private mutating func release(upTo end: Int) -> String {
    defer { held.removeFirst(end) }
    return String(decoding: held[..<end], as: UTF8.self)
  }
}

extension BidirectionalCollection where Element == UInt8 {
  fileprivate func ends(with other: [UInt8]) -> Bool { reversed().starts(with: other.reversed()) }
}

extension [UInt8] {
  /// The length of the longest end that is the start of `stop` but not all of it.
  fileprivate func lengthOfEnd(startingLike stop: [UInt8]) -> Int {
    stride(from: Swift.min(count, stop.count - 1), to: 0, by: -1).first {
      self[(count - $0)...].elementsEqual(stop[..<$0])
    }
      ?? 0
  }
}
