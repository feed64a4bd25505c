/// Turns ids into text one by one, never splitting a character.
public struct IncrementalDecoder: Sendable {
  private let tokenizer: Tokenizer
  private let skipsSpecial: Bool
  private let shown: Set<Int32>
  private var stream = UTF8Stream()
  private var isStart: Bool

  /// - Parameter continuesText: whether the ids go on after other text, as an answer does after a prompt. If not, a
  ///   tokenizer that puts a space in front of a text takes it away again, as `Tokenizer.decode` does.
  public init(_ tokenizer: Tokenizer, continuesText: Bool = true, skipsSpecial: Bool = true) {
    self.init(tokenizer, continuesText: continuesText, skipsSpecial: skipsSpecial, showing: [])
  }

  /// - Parameter shown: special tokens that are written out all the same
  package init(
    _ tokenizer: Tokenizer, continuesText: Bool = true, skipsSpecial: Bool = true, showing shown: Set<Int32>
  ) {
    self.shown = shown
    self.tokenizer = tokenizer
    self.skipsSpecial = skipsSpecial
    isStart = !continuesText && tokenizer.parts.stripsLeadingSpace
  }

  /// The characters that are complete with this id; at most 3 bytes wait for the next.
  public mutating func append(_ id: Int32) -> String {
    var bytes: [UInt8] = []
    tokenizer.append(id, to: &bytes, skipsSpecial: skipsSpecial && !shown.contains(id), isStart: &isStart)
    return stream.append(bytes)
  }

  /// What is left: U+FFFD where the last character is not complete.
  public mutating func finish() -> String { stream.finish() }
}
