import Engine
import KVCaches
import SessionStore

/// The start of a stored memory that a prompt begins with too, where memories can be cut.
struct StoredStart: Sendable {
  /// Tokens of the stored stream that stay.
  let tokens: Int
  /// Symbols of the prompt that they say.
  let symbols: Int
  /// Whether they are the prompt's own first tokens, so that the others are known.
  let isOfPrompt: Bool

  /// What a prompt has in common with what was read; nil where it goes on with all of it.
  ///
  /// Tokens are compared, and symbols up to the last special token, where an answer was not cut into tokens as its text would be.
  /// Logits need a token that they follow, so the last one of the prompt is never among them.
  init?(of prompt: RenderedConversation, _ promptTokens: [Int32], in read: ReadText) {
    let common = read.tokens[...].commonPrefix(with: promptTokens.dropLast())
    let said = read.symbols[...].commonPrefix(with: prompt.symbols[...])
    switch read.relation(to: prompt.symbols) {
    case .continues: return nil
    case .takesBack(let newest, let symbols)
    where read.tokens.count - newest > common && symbols < prompt.symbols.count:
      (tokens, self.symbols, isOfPrompt) = (read.tokens.count - newest, symbols, false)
    case .takesBack, .differs:
      (tokens, symbols, isOfPrompt) = (common, said, true)
    }
  }

  /// What was read, up to there.
  func text(of read: ReadText, prompt: RenderedConversation) -> ReadText {
    var text = ReadText()
    text.append(Array(read.tokens.prefix(tokens)), symbols: Array(prompt.symbols.prefix(symbols)))
    return text
  }
}

/// Numbers by which a stream that can be cut is found from the start of another one: hashes of its tokens in front of each block of
/// slots, each of the one before and the tokens between.
struct BlockMarks {
  /// In the order of the stream.
  private let marks: [(number: Int64, tokens: Int)]
  /// Beyond so many blocks, of 64, 64, 128 … 1,024 tokens, all are found by an earlier one.
  private static let most = 64

  /// - Parameter fingerprint: of the model and its cache; another one's marks differ
  init(_ tokens: [Int32], _ fingerprint: Fingerprint) {
    var hash = MarkHash(fingerprint, kind: 1)
    var (marks, start) = ([(number: Int64, tokens: Int)](), 0)
    for end in KVCache.blockStarts(upTo: tokens.count).prefix(Self.most) {
      for token in tokens[start..<end] { hash.take(token) }
      marks.append((hash.number, end))
      start = end
    }
    self.marks = marks
  }

  /// What an item is found by.
  var ofItem: [Int64] { marks.map(\.number) }

  /// What is looked for, the longest start first.
  var ofPrompt: [Int64] { ofItem.reversed() }

  /// Tokens in front of a mark.
  func tokens(before number: Int64) -> Int { marks.first { $0.number == number }?.tokens ?? 0 }
}
