package import Engine
package import Tokenizers

/// A kind of recall that cases are made for.
package enum RecallTask: String, Sendable, Hashable, CaseIterable {
  /// A five-digit key, said more than once in one place of a long text (`PassKeyNeedle`).
  case passKey = "pass-key"
  /// One of many lines, each with a name and a number.
  case lines
  /// A number said once, in one sentence of a long text.
  case needle
  /// A stream of lines with questions in between (`StreamEval`).
  case streamEval = "stream-eval"

  /// Whether its prompts are filled with text.
  package var usesFiller: Bool { self == .passKey || self == .needle }
}

/// How a pass key stands in its text.
package enum PassKeyNeedle: String, Sendable, Hashable, CaseIterable {
  /// Twice in one place, among sentences.
  case plain
  /// Six times in one place, behind an instruction at the start, among words in random order: the form of the runs of
  /// Cascading KV Cache (arXiv 2406.17808), which counts the first five digits of an answer, whatever is between them.
  case cascade

  /// A depth is the middle of a range as wide, in which each case has a place of its own; the published bins are a fifth
  /// of the text.
  var depthRange: Double { self == .cascade ? 0.2 : 0 }
}

/// Makes the prompts of one task, each decided by the numbers it is asked with and nothing else.
package struct RecallPrompts: Sendable {
  package let task: RecallTask
  package let tokenizer: Tokenizer
  package let filler: Filler
  package let needle: PassKeyNeedle

  /// - Parameters:
  ///   - filler: nil for what belongs to the needle, sentences or words made for the purpose
  ///   - needle: how pass keys stand in it
  /// - Precondition: the task is not `streamEval`, which has no prompts but a stream.
  package init(
    _ task: RecallTask, tokenizer: Tokenizer, filler: FillerText? = nil, needle: PassKeyNeedle = .plain
  ) {
    precondition(task != .streamEval, "a stream has no prompts")
    self.task = task
    self.tokenizer = tokenizer
    self.filler = filler.map { .sentences($0) } ?? (needle == .cascade ? .words : .sentences(.builtIn))
    self.needle = needle
  }

  /// Which digits of an answer count.
  var digits: RecallCase.Digits { needle == .cascade ? .firstFive : .firstNumber }

  /// A prompt and the number that follows it.
  package struct Prompt: Sendable, Hashable {
    package var text: String
    package var tokens: [Int32]
    package var expected: String
  }

  /// A prompt of at most `length` tokens, and short of it by less than a sentence or a line, with the number at `depth`
  /// of what stands before the question.
  ///
  /// - Throws: `RecallError` where the length has no room for the number and the question.
  package func prompt(length: Int, depth: Double, random: inout RandomSource) throws(RecallError) -> Prompt {
    switch task {
    case .lines: return try LineRecord(self).prompt(length: length, depth: depth, random: &random)
    case .needle:
      let name = RecallNames.name(random.below(RecallNames.count))
      return try Haystack.needle(named: name, number: random.fiveDigits())
        .prompt(self, length: length, depth: depth, random: &random)
    case .passKey, .streamEval:
      let key = random.fiveDigits()
      guard needle == .cascade else {
        return try Haystack.passKey(key).prompt(self, length: length, depth: depth, random: &random)
      }
      let place = depth + (random.unit() - 0.5) * needle.depthRange
      return try Haystack.cascadePassKey(key)
        .prompt(self, length: length, depth: min(max(place, 0), 1), random: &random)
    }
  }

  /// Encodes a prompt as the model wants to read it.
  func encode(_ text: String) -> [Int32] { tokenizer.encodePrompt(text) }

  /// Tokens of a piece of a prompt that stands behind another; such pieces add up, nearly or exactly.
  func count(_ text: String, after context: String) -> Int { tokenizer.encode(text, after: context).count }
}

extension Tokenizer {
  /// The ids of a whole prompt: plain text behind the begin of sequence, where the model's files ask for one.
  func encodePrompt(_ text: String) -> [Int32] {
    (addsBeginOfSequence ? beginOfSequence.map { [$0] } ?? [] : []) + encode(text)
  }

  /// The ids of text that goes on after other text, where no token reaches from one into the other.
  ///
  /// Encoded alone, it would get the space that some tokenizers put in front of every text.
  func encode(_ text: String, after context: String) -> [Int32] {
    Array(encode(context + text).dropFirst(encode(context).count))
  }
}
