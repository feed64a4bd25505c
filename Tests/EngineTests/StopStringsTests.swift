import Engine
import Testing

@Suite struct StopStringsTests {
  /// The definition: the text up to the stop string that ends first, of several that end together the longest.
  private func cut(_ text: String, _ stops: [String]) -> (text: String, stopped: Bool) {
    let bytes = Array(text.utf8)
    for end in 0...bytes.count {
      let lengths = stops.map { Array($0.utf8) }.filter { !$0.isEmpty && bytes[..<end].suffix($0.count) == $0[...] }
        .map(\.count)
      if let longest = lengths.max() { return (String(decoding: bytes[..<(end - longest)], as: UTF8.self), true) }
    }
    return (text, false)
  }

  /// Every way to cut the characters of a text into pieces.
  private func splits(_ text: String) -> [[String]] {
    let characters = Array(text)
    return (0..<(1 << max(0, characters.count - 1))).map { mask in
      var pieces: [String] = [""]
      for (index, character) in characters.enumerated() {
        pieces[pieces.count - 1].append(character)
        if mask >> index & 1 == 1 { pieces.append("") }
      }
      return pieces
    }
  }

  @Test(arguments: [
    ("a cat sat", ["cat"]), ("aaab", ["aab"]), ("ababac", ["abac"]), ("xabcdy", ["abcd", "bc"]),
    ("xabcy", ["abcd", "bc"]),
    ("xabc", ["abcd"]), ("xabce", ["abcd", "bce"]), ("aé漢b", ["漢"]), ("é漢é", ["漢é", "é漢x"]),
    ("abc", ["c", "bc", "abc"]),
    ("nothing", ["z"]), ("nothing", []), ("nothing", [""]), ("", ["a"]), ("ends with st", ["stop", "t s"]),
    ("stop", ["stop"]),
  ])
  func `any split gives the text up to the first stop string`(text: String, stops: [String]) {
    let expected = cut(text, stops)
    for pieces in splits(text) {
      var stopStrings = StopStrings(stops)
      var shown = ""
      var stopped = false
      for piece in pieces where !stopped {
        let (text, isStop) = stopStrings.append(piece)
        shown += text
        stopped = isStop
        // Nothing shown is ever taken back.
        #expect(expected.text.hasPrefix(shown), "\(pieces)")
      }
      if !stopped { shown += stopStrings.finish() }
      #expect(shown == expected.text && stopped == expected.stopped, "\(pieces) gave '\(shown)'")
    }
  }

  @Test func `only what may become a stop string is held back`() {
    var stops = StopStrings(["stop", "\n\n"])
    #expect(stops.append("a st") == ("a ", false))
    #expect(stops.append("ay") == ("stay", false))
    #expect(stops.append("\n") == ("", false))
    #expect(stops.append("s") == ("\n", false))
    #expect(stops.append("top and more") == ("", true))
    #expect(stops.finish() == "")
  }
}
