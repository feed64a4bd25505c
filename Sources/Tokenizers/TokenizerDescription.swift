/// A tokenizer as the key-values of a GGUF file describe it, free of any file format.
package struct TokenizerDescription: Sendable {
  /// The algorithm by GGUF's name: "gpt2" for byte-level BPE, "llama" for SentencePiece BPE, "t5" for a unigram model.
  package var model: String

  /// The name of the rule that cuts text into words ("smollm", "llama-bpe"); only byte-level BPE has one.
  package var preTokenizer: String?

  /// The tokens by id, in the model's own spelling (byte alphabet, or U+2581 for a space).
  package var tokens: [String]

  /// The score of each token, SentencePiece only; the higher merges first. Empty where the file has none.
  package var scores: [Float] = []

  /// The kind of each token by GGUF's numbers (`TokenKind`). Empty where the file has none: then all are normal.
  package var kinds: [Int32] = []

  /// Pairs of tokens with a space between, best first; byte-level BPE only.
  package var merges: [String] = []

  package var beginOfSequence: Int?
  package var endOfSequence: Int?
  package var endOfTurn: Int?
  package var endOfMessage: Int?
  package var unknown: Int?

  /// Whether a sequence starts with `beginOfSequence`; nil leaves it to what the model and pre-tokenizer usually do.
  package var addsBeginOfSequence: Bool?

  /// Whether text gets a space in front; nil leaves it to the model: SentencePiece does, byte-level BPE does not.
  package var addsSpacePrefix: Bool?

  /// `precompiled_charsmap` of SentencePiece; unigram models only. Empty where the file has none.
  package var characterMap: [UInt8] = []

  /// Whether runs of spaces become one and those around the text go; unigram models only.
  package var joinsSpaces = false

  package init(model: String, preTokenizer: String? = nil, tokens: [String]) {
    self.model = model
    self.preTokenizer = preTokenizer
    self.tokens = tokens
  }
}

/// What a token is for, with GGUF's numbers.
package enum TokenKind: UInt8, Sendable {
  case normal = 1
  case unknown = 2
  /// Steers the model, never text: recognised only where the caller asks for it, skipped in decoding.
  case control = 3
  /// Text that is always one token, wherever it occurs.
  case userDefined = 4
  case unused = 5
  /// One raw byte, spelled `<0x0A>`.
  case byte = 6

  /// Numbers that no file should have count as unused.
  init(number: Int32) {
    self = UInt8(exactly: number).flatMap(Self.init(rawValue:)) ?? .unused
  }
}
