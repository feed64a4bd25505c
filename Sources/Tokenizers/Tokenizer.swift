/// Turns text into the ids of a model's tokens and back: byte-level BPE, SentencePiece BPE or a unigram model.
///
/// It is immutable and may be used from many threads at once. Special tokens that are merely written in a text stay
/// text unless the caller asks otherwise, because a prompt is not to be trusted with the model's controls.
public final class Tokenizer: Sendable {
  /// Whether special tokens may be written in text.
  public enum SpecialTokens: Sendable {
    /// Text is text: `<|im_end|>` is ten characters.
    case plainText
    /// The spelling of a special token becomes that token: for templates, not for what users write.
    case parse
  }

  /// Where text gets a space in front before it is encoded.
  enum SpacePrefix: Sendable {
    case never
    /// Only at the start of the whole text, unless that starts with a space.
    case atStartUnlessPresent
    /// At the start and after each added token; before normalized tokens are looked for.
    case always
    /// At the start and after each added token, normalized ones too, unless the text starts with a space.
    case unlessPresent
  }

  /// What the merges of a word start from.
  enum Symbols: Sendable {
    case bytes
    /// Scalars, and the bytes of those that are no tokens.
    case scalars
  }

  /// Everything that the readers of files fill in.
  struct Parts: Sendable {
    var symbols: Symbols
    /// The bytes that each token decodes to; for special tokens their spelling.
    var pieces: Pieces
    var kinds: [TokenKind]
    /// Tokens that text can become, by their bytes.
    var table: PieceTable
    /// The token of each byte, -1 where there is none.
    var byteTokens: [Int32]
    var merges: MergeTable
    /// Takes the place of merges.
    var unigram: UnigramModel?
    var preTokenizer: PreTokenizer
    var keepsWholeWords = false
    /// A run of line breaks that is a token is that token, whatever the merges say; the first pass is `lines`.
    var keepsLineBreakRuns = false
    var composesCanonically = false
    var characterMap: CharacterMap?
    var spaceRule = SpaceRule()
    var spacePrefix = SpacePrefix.never
    /// Cuts text into the pieces of which each gets a space in front, unless it starts with one; nil where none does.
    var prefixedPieces: PreTokenizer?
    /// Whether unknown symbols that follow each other are one.
    var fusesUnknown = false
    /// The bytes of what merges make and the vocabulary lacks; the ids follow those of the tokens.
    var unlisted = Pieces()
    var stripsLeadingSpace = false
    var special: [AddedToken] = []
    var userDefined: [AddedToken] = []
    var beginOfSequence: Int32?
    var endOfSequence: Int32?
    var unknown: Int32?
    var addsBeginOfSequence = false
    var endOfGeneration: Set<Int32> = []
    /// Control tokens that are decoded as text all the same.
    var visibleControls: Set<Int32> = []
    /// What was wrong in the files and left out.
    var warnings: [String] = []
  }

  let parts: Parts
  let plainTextTokens: AddedTokenSearch
  let allAddedTokens: AddedTokenSearch

  init(_ parts: Parts) {
    assert(parts.kinds.count == parts.pieces.count && parts.byteTokens.count == 256)
    self.parts = parts
    plainTextTokens = AddedTokenSearch(parts.userDefined)
    allAddedTokens = AddedTokenSearch(parts.userDefined + parts.special)
  }

  /// The number of ids, used or not.
  public var vocabularySize: Int { parts.pieces.count }

  public var beginOfSequence: Int32? { parts.beginOfSequence }
  public var endOfSequence: Int32? { parts.endOfSequence }
  public var unknown: Int32? { parts.unknown }

  /// Whether the model's files ask for `beginOfSequence` in front of a text; `encode` itself never adds it.
  public var addsBeginOfSequence: Bool { parts.addsBeginOfSequence }

  /// The tokens after which a model has nothing more to say: end of sequence, of turn, of message.
  public var endOfGeneration: Set<Int32> { parts.endOfGeneration }

  /// What was wrong in the model's files and could be left out, a line each.
  package var warnings: [String] { parts.warnings }

  /// Whether the token steers the model and is no text.
  public func isSpecial(_ id: Int32) -> Bool {
    guard let kind = kind(id) else { return false }
    return kind == .control || kind == .unknown
  }

  func kind(_ id: Int32) -> TokenKind? {
    id >= 0 && Int(id) < vocabularySize ? parts.kinds[Int(id)] : nil
  }
}
