/// Finds stop strings in text that arrives in pieces, and holds back what may still become one.
package struct StopStrings: Sendable {
  private let stops: [[UInt8]]
  private var held: [UInt8] = []

  /// - Parameter stops: empty strings are ignored.
  package init(_ stops: [String]) { self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty } }

  /// Takes in text and returns what can be shown, and whether a stop string was met (which is not shown).
  package mutating func append(_ text: String) -> (text: String, stopped: Bool) {
    guard !stops.isEmpty else { return (text, false) }
    held += Array(text.utf8)
    for start in held.indices {
      if stops.contains(where: { held[start...].starts(with: $0) }) {
        defer { held = [] }
        return (String(decoding: held[..<start], as: UTF8.self), true)
      }
      if stops.contains(where: { $0.starts(with: held[start...]) }) { return (release(upTo: start), false) }
    }
    return (release(upTo: held.count), false)
  }

  /// What was held back when the text ends.
  package mutating func finish() -> String { release(upTo: held.count) }

  private mutating func release(upTo end: Int) -> String {
    defer { held.removeFirst(end) }
    return String(decoding: held[..<end], as: UTF8.self)
  }
}
