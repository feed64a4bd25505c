/// The first number in a text that arrives in pieces: its first run of decimal digits (ASCII, without separators).
package struct FirstNumber: Sendable, Hashable {
  private var bytes: [UInt8] = []
  /// Whether something other than a digit follows the number, so that no later text changes it.
  package private(set) var isComplete = false

  package init() {}

  package init(in text: String) {
    self.init()
    append(text)
  }

  /// The digits so far; nil before the first.
  package var digits: String? { bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }

  package mutating func append(_ text: String) {
    for byte in text.utf8 where !isComplete {
      if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
        bytes.append(byte)
      } else {
        isComplete = !bytes.isEmpty
      }
    }
  }
}

/// The first digits (ASCII) of a text that arrives in pieces, whatever stands between them.
package struct FirstDigits: Sendable, Hashable {
  private let count: Int
  private var bytes: [UInt8] = []

  package init(_ count: Int) { self.count = count }

  /// Whether all are there, so that no later text changes them.
  package var isComplete: Bool { bytes.count == count }

  /// The digits so far; nil before the first.
  package var digits: String? { bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }

  package mutating func append(_ text: String) {
    let digits = text.utf8.filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    bytes += digits.prefix(count - bytes.count)
  }
}
