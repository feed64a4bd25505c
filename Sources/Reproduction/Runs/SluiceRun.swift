import Kernels

/// One run of the command `sluice`, by its words.
package struct SluiceRun: Sendable, Hashable {
  /// Without the program's name; the last one asks for JSON.
  package let words: [String]

  init(_ words: [String]) { self.words = words }

  /// As it is typed in a shell.
  package var text: String { (["sluice"] + words.map(Self.quoted)).joined(separator: " ") }

  /// Names the run's result among others.
  package var key: String {
    var digest = SHA256()
    Array(words.joined(separator: "\0").utf8).withUnsafeBytes { digest.update($0) }
    return digest.finalize().prefix(12).map { byte in
      let text = String(byte, radix: 16)
      return text.count == 1 ? "0" + text : text
    }.joined()
  }

  private static func quoted(_ word: String) -> String {
    let isPlain =
      !word.isEmpty
      && word.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"):
          true
        default: "-_./:,+=@%".utf8.contains(byte)
        }
      }
    return isPlain ? word : "'" + word.replacing("'", with: #"'\''"#) + "'"
  }
}
