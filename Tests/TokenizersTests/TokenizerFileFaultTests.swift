import Testing

@testable import Tokenizers

/// What users of other programs have reported of tokenizer.json; the ids are those of Hugging Face's `tokenizers`.
@Suite("tokenizer.json as people have them")
struct TokenizerFileFaultTests {
  private static let bytes = #"{"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}"#
  private static let prepend = """
    {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"},
     {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}
    """
  private static let pieces = ##"""
    {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3, "a": 4, "b": 5, "c": 6, "▁a": 7, "ab": 8, "▁▁": 9, "▁ab": 10, "1": 11, "2": 12}
    """##
  private static let pieceMerges = #"["▁ a", "a b", "▁ ▁", "▁ ab"]"#
  private static let special = #"{"id": 0, "content": "<unk>", "special": true, "normalized": false}"#

  private func encode(
    _ text: String, normalizer: String = "null", preTokenizer: String = "null", vocabulary: String = Self.pieces,
    merges: String = Self.pieceMerges, more: String = "", added: String = "[\(Self.special)]"
  ) throws -> [Int32] {
    let json = """
      {"added_tokens": \(added), "normalizer": \(normalizer), "pre_tokenizer": \(preTokenizer),
       "model": {"type": "BPE", "vocab": \(vocabulary), "merges": \(merges), "unk_token": "<unk>"\(more)}}
      """
    let tokenizer = try Tokenizer(json: Array(json.utf8))
    let whole = tokenizer.encode(text, special: .parse)
    var encoder = IncrementalEncoder(tokenizer, special: .parse)
    #expect(text.utf8.flatMap { encoder.append([$0]) } + encoder.finish() == whole, "\(text) piece by piece")
    return whole
  }

  @Test("Normalized added tokens are looked for in normalized text, after all others")
  func normalized() throws {
    let foo = #"{"id": 13, "content": "foo", "special": false, "normalized": true}"#
    let table: [(String, [Int32])] = [
      ("a foo b", [7, 13, 3, 5]), ("foo b", [13, 3, 5]), ("afoob", [7, 0, 5]), ("a foo", [7, 13]),
      ("foo foo<unk>foo", [13, 13, 0, 13]),
    ]
    for (text, ids) in table {
      let found = try encode(
        text, normalizer: Self.prepend, more: #", "fuse_unk": true"#, added: "[\(Self.special), \(foo)]")
      #expect(found == ids, "\(text)")
    }
    let tokens = """
      [{"id": 4, "content": "ab", "normalized": true}, {"id": 5, "content": "bcd", "special": true, "normalized": false}]
      """
    let ordered = try encode(
      "abcd", preTokenizer: Self.bytes, vocabulary: #"{"a": 0, "b": 1, "c": 2, "d": 3}"#, merges: "[]", added: tokens)
    #expect(ordered == [0, 5])
  }

  @Test(
    "U+2581 is no white space that a normalized added token could take, and is looked for as the normalizer leaves it")
  func spacesOfNormalizedTokens() throws {
    let replace = #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#
    let taking =
      #"[{"id": 13, "content": "foo", "normalized": true, "lstrip": true, "rstrip": true}, "# + Self.special + "]"
    #expect(try encode("a foo b", normalizer: replace, added: taking) == [4, 3, 13, 3, 5])
    let marked = #"[{"id": 13, "content": "▁foo", "normalized": true}, "# + Self.special + "]"
    let metaspace = #"{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true}"#
    #expect(try encode("a foo", normalizer: replace, added: marked) == [4, 13])
    #expect(try encode("a foo", preTokenizer: metaspace, added: marked) == [4, 3, 0, 0, 0])
    #expect(try encode("a▁foo", preTokenizer: metaspace, added: marked) == [4, 13])
  }

  @Test("Added tokens that contradict the vocabulary get the ids that the tokenizers package gives them")
  func contradictingAddedTokens() throws {
    // Known to the model under another id; an id that is another token's; the same token twice.
    let table: [(String, String, [Int32])] = [
      (#"{"id": 20, "content": "c"}"#, "abc", [8, 6]), (#"{"id": 4, "content": "foo"}"#, "afoob", [4, 13, 5]),
      (#"{"id": 13, "content": "foo"}, {"id": 14, "content": "foo"}"#, "foo", [13]),
    ]
    for (added, text, ids) in table {
      let found = try encode(
        text, normalizer: #"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#,
        added: "[\(Self.special), \(added)]")
      #expect(found == ids, "\(added)")
    }
  }

  @Test("Every piece of a split gets its space in front")
  func prefixOfSplits() throws {
    func splits(_ scheme: String) -> String {
      """
      {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
       {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "\(scheme)", "split": true}]}
      """
    }
    #expect(try encode("a1 a", preTokenizer: splits("always")) == [7, 3, 11, 7])
    #expect(try encode("12  a", preTokenizer: splits("always")) == [3, 11, 3, 12, 3, 7])
    #expect(try encode("a1a", preTokenizer: splits("never")) == [4, 11, 4])
    let byteLevel = """
      {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
       {"type": "ByteLevel", "add_prefix_space": true, "use_regex": true}]}
      """
    let vocabulary = #"{"Ġ": 0, "a": 1, "1": 2, "Ġa": 3, "Ġ1": 4}"#
    let ids = try encode(
      "a1a", preTokenizer: byteLevel, vocabulary: vocabulary, merges: #"["Ġ a", "Ġ 1"]"#, added: "[]")
    #expect(ids == [3, 4, 3])
  }

  @Test("Unknown characters are one token or one each, as the file says")
  func fusedUnknown() throws {
    for (fuses, xyz, mixed) in [("true", [3, 0], [7, 3, 0, 3, 5]), ("false", [3, 0, 0, 0], [7, 3, 0, 0, 0, 3, 5])]
      as [(String, [Int32], [Int32])]
    {
      let more = #", "fuse_unk": \#(fuses)"#
      #expect(try encode("xyz", normalizer: Self.prepend, more: more) == xyz)
      #expect(try encode("a xyz b", normalizer: Self.prepend, more: more) == mixed)
      // Pieces of a split are apart whatever the file says.
      let punctuation = #"{"type": "Sequence", "pretokenizers": [{"type": "Punctuation"}, {"type": "Metaspace"}]}"#
      #expect(try encode("!?", preTokenizer: punctuation, more: more) == [3, 0, 3, 0])
    }
  }

  @Test("An unknown token that is not among the added ones")
  func unknownOutsideAdded() throws {
    #expect(try encode("xyz", normalizer: Self.prepend, added: "[]") == [3, 0, 0, 0])
    #expect(try encode("a xyz b", normalizer: Self.prepend, added: "[]") == [7, 3, 0, 0, 0, 3, 5])
  }

  @Test("Merges may name added tokens, and the first line of a merges.txt")
  func mergesOfAdded() throws {
    let vocabulary = #"{"h": 0, "e": 1, "l": 2, "o": 3, "he": 4, "ll": 5, "hell": 6, "hello": 7, "Ġ": 8}"#
    let merges = ##"["#version: 0.2", "h e", "l l", "he ll", "hell o"]"##
    for (text, ids) in [("oh hello", [3, 0, 8, 7]), ("helloo", [7, 3]), ("hell", [6])] as [(String, [Int32])] {
      let found = try encode(
        text, preTokenizer: Self.bytes, vocabulary: vocabulary, merges: merges,
        added: #"[{"id": 7, "content": "hello", "special": false, "normalized": true}]"#)
      #expect(found == ids, "\(text)")
    }
  }

  @Test("A special token of one character is itself in plain text, too")
  func specialCharacter() throws {
    let json = """
      {"added_tokens": [{"id": 1, "content": "!", "special": true}], "pre_tokenizer": \(Self.bytes),
       "model": {"type": "BPE", "vocab": {"a": 0, "!": 1}, "merges": []}}
      """
    #expect(try Tokenizer(json: Array(json.utf8)).encode("a!!a") == [0, 1, 1, 0])
  }

  @Test("Tokens that end an answer by the model's configuration, and tokens without rows")
  func endsAndRows() throws {
    let json = Array(
      """
      {"added_tokens": [{"id": 2, "content": "<pad>", "special": true}], "pre_tokenizer": \(Self.bytes),
       "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}
      """.utf8)
    let whole = try Tokenizer(json: json, configuration: nil, ends: [1, 2, 9])
    #expect(whole.endOfGeneration == [1, 2] && whole.warnings.count == 1 && whole.warnings[0].contains("is 9"))
    let limited = try Tokenizer(json: json, configuration: nil, ends: [], limit: 2)
    #expect(limited.vocabularySize == 2 && limited.id(ofSpecial: "<pad>") == nil)
    #expect(limited.encode("a<pad>b", special: .parse) == [0, 0, 1])
    #expect(limited.warnings == ["the tokenizer knows 3 tokens, but the model only 2; the others are left out"])
  }
}
