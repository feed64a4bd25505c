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
