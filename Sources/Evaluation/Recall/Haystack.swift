import Engine

/// Filler with one fact in it that the question at its end asks for: pass keys and needles.
struct Haystack {
  let task: RecallTask
  let fact: String
  /// Ends where the number has to follow.
  let question: String
  let number: String

  /// The fact as in the pass key tests of the literature: a five-digit key, told apart by being said again.
  static func passKey(_ key: Int) -> Haystack {
    Haystack(
      task: .passKey, fact: "The pass key is \(key). Remember it. \(key) is the pass key.",
      question: "\n\nWhat is the pass key? The pass key is", number: String(key))
  }

  /// A fact said once and by name.
  static func needle(named name: String, number: Int) -> Haystack {
    Haystack(
      task: .needle, fact: "The number of the \(name) is \(number).",
      question: "\n\nWhat is the number of the \(name)? The number of the \(name) is", number: String(number))
  }

  func prompt(
    _ prompts: RecallPrompts, length: Int, depth: Double, random: inout RandomSource
  ) throws(RecallError) -> RecallPrompts.Prompt {
    let bare = prompts.encode(fact + question).count
    var sentences: [String] = []
    var ends: [Int] = []  // tokens of the filler up to the end of each sentence
    prompts.filler.forEachSentence(from: &random) { sentence in
      let end = (ends.last ?? 0) + max(prompts.count(" " + sentence, after: "."), 1)
      guard bare + end <= length else { return false }
      sentences.append(sentence)
      ends.append(end)
      return true
    }
    // Pieces may add up to a little less than the whole, so the whole is counted.
    while true {
      let wanted = depth * Double(ends.last ?? 0)
      let starts = [0] + ends
      let place = starts.indices.min { abs(Double(starts[$0]) - wanted) < abs(Double(starts[$1]) - wanted) } ?? 0
      let text = (sentences[..<place] + [fact] + sentences[place...]).joined(separator: " ") + question
      let tokens = prompts.encode(text)
      if tokens.count <= length { return RecallPrompts.Prompt(text: text, tokens: tokens, expected: number) }
      guard sentences.popLast() != nil else { throw .tooShort(task, length: length, needed: tokens.count) }
      ends.removeLast()
    }
  }
}
