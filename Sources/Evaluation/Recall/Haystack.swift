import Engine

/// Filler with one fact in it that the question at its end asks for: pass keys and needles.
struct Haystack {
  let task: RecallTask
  /// What stands in front of the filler.
  var instruction = ""
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

  /// A pass key as in the runs of arXiv 2406.17808, from the form of its prompts: the instruction comes first, so that
  /// sinks keep it, and the key stands six times, in two equal lines. The sentences are ours.
  static func cascadePassKey(_ key: Int) -> Haystack {
    let line = "This is the pass key! The pass key is \(key). \(key) is the pass key. Remember: the pass key is \(key)."
    return Haystack(
      task: .passKey,
      instruction: """
        A five-digit pass key is hidden in a long text that means nothing. Find the pass key and keep it in mind. At the \
        end you are asked for it.


        """,
      fact: """
        ### An important note begins here ###
        \(line)
        The same once more:
        \(line)
        ### The important note ends here ###
        """,
      question: "\n\nNow comes the question. What is the five-digit pass key? The pass key is", number: String(key))
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
    let bare = prompts.encode(instruction + fact + question).count
    var pieces: [String] = []
    var ends: [Int] = []  // tokens of the filler up to the end of each piece
    prompts.filler.forEachPiece(from: &random) { piece in
      let end = (ends.last ?? 0) + max(prompts.count(" " + piece, after: "."), 1)
      guard bare + end <= length else { return false }
      pieces.append(piece)
      ends.append(end)
      return true
    }
    // Pieces may add up to a little less than the whole, so the whole is counted.
    while true {
      let wanted = depth * Double(ends.last ?? 0)
      let starts = [0] + ends
      let place = starts.indices.min { abs(Double(starts[$0]) - wanted) < abs(Double(starts[$1]) - wanted) } ?? 0
      let text = instruction + (pieces[..<place] + [fact] + pieces[place...]).joined(separator: " ") + question
      let tokens = prompts.encode(text)
      if tokens.count <= length { return RecallPrompts.Prompt(text: text, tokens: tokens, expected: number) }
      guard pieces.popLast() != nil else { throw .tooShort(task, length: length, needed: tokens.count) }
      ends.removeLast()
    }
  }
}
