/// Why a tokenizer could not be built from a model's files.
public struct TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
  private enum Code: Hashable {
    case unsupportedModel(String)
    case unsupportedPreTokenizer(String)
    case unsupportedPart(part: String, found: String)
    case malformed(part: String, expected: String)
    case emptyVocabulary
    case vocabularyTooLarge(Int)
    case countMismatch(part: String, count: Int, tokens: Int)
    case missingMerges
    case malformedMerge(index: Int)
    case unknownTokenInMerge(index: Int, token: String)
    case invalidScore(index: Int)
    case malformedCharacterMap
    case json(String)
  }

  private let code: Code

  private init(_ code: Code) { self.code = code }

  package static func unsupportedModel(_ name: String) -> Self { Self(.unsupportedModel(name)) }
  package static func unsupportedPreTokenizer(_ name: String) -> Self { Self(.unsupportedPreTokenizer(name)) }
  static func unsupported(_ part: String, _ found: String) -> Self { Self(.unsupportedPart(part: part, found: found)) }
  static func malformed(_ part: String, expected: String) -> Self { Self(.malformed(part: part, expected: expected)) }
  package static var emptyVocabulary: Self { Self(.emptyVocabulary) }
  static func vocabularyTooLarge(_ count: Int) -> Self { Self(.vocabularyTooLarge(count)) }
  package static func countMismatch(_ part: String, count: Int, tokens: Int) -> Self {
    Self(.countMismatch(part: part, count: count, tokens: tokens))
  }
  package static var missingMerges: Self { Self(.missingMerges) }
  package static func malformedMerge(at index: Int) -> Self { Self(.malformedMerge(index: index)) }
  package static func unknownTokenInMerge(at index: Int, token: String) -> Self {
    Self(.unknownTokenInMerge(index: index, token: token))
  }
  package static func invalidScore(at index: Int) -> Self { Self(.invalidScore(index: index)) }
  static var malformedCharacterMap: Self { Self(.malformedCharacterMap) }
  static func json(_ text: String) -> Self { Self(.json(text)) }

  public var description: String {
    switch code {
    case .unsupportedModel(let name): "unsupported tokenizer model \(Self.quoted(name))"
    case .unsupportedPreTokenizer(let name): "unsupported pre-tokenizer \(Self.quoted(name))"
    case .unsupportedPart(let part, let found): "tokenizer.json: unsupported \(part): \(Self.quoted(found))"
    case .malformed(let part, let expected): "tokenizer.json: \(part) should be \(expected)"
    case .emptyVocabulary: "the tokenizer has an empty vocabulary"
    case .vocabularyTooLarge(let count): "the tokenizer has \(count) tokens, more than any known vocabulary"
    case .countMismatch(let part, let count, let tokens): "the tokenizer has \(count) \(part) for \(tokens) tokens"
    case .missingMerges: "the file has no tokenizer.ggml.merges, without which byte-level BPE cannot encode"
    case .malformedMerge(let index): "merge \(index) of the tokenizer is not a pair of tokens"
    case .unknownTokenInMerge(let index, let token):
      "merge \(index) of the tokenizer names \(Self.quoted(token)), which is not in its vocabulary"
    case .invalidScore(let index): "token \(index) of the tokenizer has a score that is not a number"
    case .malformedCharacterMap: "the tokenizer's precompiled_charsmap is no trie with its replacements"
    case .json(let text): "tokenizer.json: \(text)"
    }
  }

  /// The text in quotation marks, on one line and not longer than a line, since it comes from a file.
  private static func quoted(_ text: String) -> String {
    let line = text.unicodeScalars.prefix(80).map { $0.value < 0x20 || $0.value == 0x7F ? "?" : String($0) }
    return "'\(line.joined())\(text.unicodeScalars.count > 80 ? "…" : "")'"
  }
}
