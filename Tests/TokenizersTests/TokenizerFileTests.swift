import Testing

@testable import Tokenizers

@Suite("tokenizer.json")
struct TokenizerFileTests {
  private static let byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}"#

  private func file(
    normalizer: String = "null", preTokenizer: String = Self.byteLevel, postProcessor: String = "null",
    vocabulary: String = #"{"a": 0, "b": 1, "ab": 2, "Ġ": 3, "Ġa": 4}"#, merges: String = #"["a b", "Ġ a"]"#,
    more: String = "", added: String = #"[{"id": 5, "content": "<s>", "special": true}]"#
  ) -> [UInt8] {
    Array(
      """
      {"added_tokens": \(added), "normalizer": \(normalizer), "pre_tokenizer": \(preTokenizer),
       "post_processor": \(postProcessor),
       "model": {"type": "BPE", "vocab": \(vocabulary), "merges": \(merges)\(more)}}
      """.utf8)
  }

  private func message(_ json: [UInt8]) -> String {
    do {
      _ = try Tokenizer(json: json)
      return "no error"
    } catch {
      return error.description
    }
  }

  @Test("Byte-level BPE with merges as strings and as pairs")
  func byteLevelFile() throws {
    for merges in [#"["a b", "Ġ a"]"#, #"[["a", "b"], ["Ġ", "a"]]"#] {
      let tokenizer = try Tokenizer(json: file(merges: merges))
      #expect(tokenizer.vocabularySize == 6)
      #expect(tokenizer.encode("ab ab a") == [2, 3, 2, 4])
      #expect(tokenizer.encode("<s>a", special: .parse) == [5, 0])
      #expect(tokenizer.decode([5, 2, 4]) == "ab a")
    }
  }

  @Test("What merges in a pair may hold spaces that a string could not")
  func pairsWithSpaces() throws {
    let json = file(
      normalizer: #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#, preTokenizer: "null",
      vocabulary: #"{"a": 0, "▁": 1, "a▁": 2}"#, merges: #"[["a", "▁"]]"#)
    #expect(try Tokenizer(json: json).encode("a a") == [2, 0])
  }

  @Test("SentencePiece with its normalizer, bytes and template")
  func sentencePieceFile() throws {
    let json = file(
      normalizer: """
        {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
         {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
        """,
      preTokenizer: "null",
      postProcessor:
        #"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]}"#,
      vocabulary: ##"{"▁": 0, "a": 1, "▁a": 2, "<0xC3>": 3, "<0xA9>": 4}"##, merges: #"["▁ a"]"#,
      more: #", "byte_fallback": true"#)
    let tokenizer = try Tokenizer(json: json)
    #expect(tokenizer.addsBeginOfSequence && tokenizer.beginOfSequence == 5)
    #expect(tokenizer.encode("a a é") == [2, 2, 0, 3, 4])
    #expect(tokenizer.decode([2, 2, 0, 3, 4]) == "a a é")
  }

  @Test("Metaspace splits at every space unless it says no")
  func metaspace() throws {
    let vocabulary = #"{"▁": 0, "a": 1, "▁▁": 2, "▁a": 3}"#
    let split = #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": "#
    for (value, expected) in [("true", [3, 0, 3] as [Int32]), ("false", [3, 2, 1])] {
      let json = file(preTokenizer: split + value + "}", vocabulary: vocabulary, merges: #"["▁ ▁", "▁ a"]"#)
      #expect(try Tokenizer(json: json).encode("a  a") == expected)
    }
  }

  @Test("The configuration names the tokens that begin and end a sequence")
  func configuration() throws {
    let added = #"[{"id": 5, "content": "<s>", "special": true}, {"id": 6, "content": "<end>", "special": true}]"#
    let configuration = #"{"bos_token": {"content": "<s>"}, "eos_token": "<end>", "add_bos_token": true}"#
    let tokenizer = try Tokenizer(json: file(added: added), configuration: Array(configuration.utf8))
    #expect(tokenizer.beginOfSequence == 5 && tokenizer.endOfSequence == 6 && tokenizer.addsBeginOfSequence)
    #expect(tokenizer.endOfGeneration == [6])
  }

  @Test("Added tokens take the white space that they say, at once and piece by piece")
  func spacesOfAddedTokens() throws {
    let added = #"[{"id": 5, "content": "<m>", "special": true, "lstrip": true, "rstrip": true}]"#
    let tokenizer = try Tokenizer(json: file(added: added))
    let text = "a  <m>  ab <m"
    let whole = tokenizer.encode(text, special: .parse)
    #expect(whole.prefix(3) == [0, 5, 2])
    var encoder = IncrementalEncoder(tokenizer, special: .parse)
    #expect(text.utf8.flatMap { encoder.append([$0]) } + encoder.finish() == whole)
  }

  @Test("Text is composed where the file asks, at once and piece by piece")
  func composition() throws {
    let json = file(
      normalizer: #"{"type": "NFC"}"#, vocabulary: #"{"Ã": 0, "©": 1, "e": 2, "Ì": 3, "ģ": 4}"#, merges: "[]")
    let tokenizer = try Tokenizer(json: json)
    #expect(tokenizer.encode("e\u{301}e") == [0, 1, 2])
    var encoder = IncrementalEncoder(tokenizer)
    #expect(encoder.append("e") + encoder.append("\u{301}") + encoder.append("e") + encoder.finish() == [0, 1, 2])
  }

  @Test("What is not understood is refused by name")
  func refused() {
    #expect(message(Array("[".utf8)).hasPrefix("tokenizer.json: line 1"))
    #expect(message(Array("{}".utf8)) == "tokenizer.json: model should be an object")
    #expect(
      message(Array(#"{"model": {"type": "WordPiece"}}"#.utf8)) == "tokenizer.json: unsupported model: 'WordPiece'")
    #expect(
      message(file(normalizer: #"{"type": "Lowercase"}"#)) == "tokenizer.json: unsupported normalizer: 'Lowercase'")
    let split = #"{"type": "Split", "pattern": {"Regex": "x+"}, "behavior": "Isolated", "invert": false}"#
    #expect(message(file(preTokenizer: split)) == "tokenizer.json: unsupported Split pattern: 'x+'")
    #expect(message(file(preTokenizer: "null")).contains("neither ByteLevel nor Metaspace"))
    #expect(message(file(merges: #"["a"]"#)) == "merge 0 of the tokenizer is not a pair of tokens")
    #expect(message(file(merges: #"["a a"]"#)).hasSuffix("names 'aa', which is not in its vocabulary"))
    #expect(
      message(file(vocabulary: #"{"a": 1000000}"#))
        == "the tokenizer has 1000001 tokens, more than any known vocabulary")
    #expect(message(file(vocabulary: #"{"a": -1}"#)) == "tokenizer.json: an id of model.vocab should be a number")
    #expect(message(file(vocabulary: "{}", merges: "[]", added: "[]")) == "the tokenizer has an empty vocabulary")
    #expect(message(file(added: #"[{"id": 99999999, "content": "x"}]"#)).contains("added token"))
    #expect(message(file(more: #", "dropout": 0.1"#)) == "tokenizer.json: unsupported dropout: '0.1'")
  }
}
