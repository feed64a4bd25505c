import ModelJSON

/// A `tokenizer.json` being read: each of its parts is either understood in full or refused.
struct TokenizerFile {
  private let file: JSONValue
  private let configuration: JSONValue?
  private let model: JSONValue
  /// The most tokens that the model has rows for.
  private let limit: Int?
  private let isUnigram: Bool

  init(_ file: JSONValue, configuration: JSONValue?, limit: Int? = nil) throws(TokenizerError) {
    guard let model = file["model"], model.object != nil else { throw .malformed("model", expected: "an object") }
    // Files of before 2021 do not name the type of a model with merges.
    let type = model["type"]?.string ?? (model["merges"] != nil ? "BPE" : "none")
    guard type == "BPE" || type == "Unigram" else { throw .unsupported("model", type) }
    isUnigram = type == "Unigram"
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let text = model[key]?.string, !text.isEmpty { throw .unsupported(key, text) }
    }
    if let dropout = model["dropout"]?.double, dropout != 0 { throw .unsupported("dropout", "\(dropout)") }
    self.file = file
    self.configuration = configuration
    self.model = model
    self.limit = limit
  }

  func parts() throws(TokenizerError) -> Tokenizer.Parts {
    let rules = try TextRules(normalizer: file["normalizer"], preTokenizer: file["pre_tokenizer"])
    var added = try AddedTokenList(file["added_tokens"])
    var (tokens, kinds, scores) = try isUnigram ? unigramVocabulary(&added) : vocabulary(&added)
    var warnings: [String] = []
    if let limit, tokens.count > limit {
      warnings.append(Tokenizer.limitWarning(tokens: tokens.count, rows: limit))
      (tokens, kinds) = (Array(tokens[..<limit]), Array(kinds[..<limit]))
      scores = Array(scores.prefix(limit))
      added.limit(to: limit)
    }
    let unknown = model["unk_token"]?.string
    if rules.isByteLevel == false && model["byte_fallback"]?.bool == true {
      for (id, token) in tokens.enumerated() where kinds[id] == .normal && byteSpelled(by: token) != nil {
        kinds[id] = .byte
      }
    }
    if isUnigram, rules.isByteLevel { throw .unsupported("pre_tokenizer", "ByteLevel of a Unigram model") }
    var parts =
      isUnigram
      ? try Tokenizer.Parts(unigramTokens: tokens, kinds, scores: scores, passes: rules.passes)
      : rules.isByteLevel
        ? Tokenizer.Parts(byteLevelTokens: tokens, kinds, preTokenizer: PreTokenizer(rules.passes))
        : Tokenizer.Parts(
          sentencePieceTokens: tokens, kinds, passes: rules.passes, fusesUnknown: model["fuse_unk"]?.bool ?? false)
    tokens = []
    parts.warnings = warnings
    parts.fusesUnknown = isUnigram || model["fuse_unk"]?.bool ?? false
    parts.prefixedPieces = rules.passesBeforePrefix.map { PreTokenizer($0) }
    if !isUnigram { (parts.merges, parts.unlisted) = try merges(parts, alphabet: rules.isByteLevel ? .bytes : .text) }
    parts.keepsWholeWords = model["ignore_merges"]?.bool ?? false
    parts.composesCanonically = rules.composesCanonically
    parts.characterMap = rules.characterMap
    parts.spaceRule = rules.spaceRule
    parts.spacePrefix = rules.spacePrefix
    parts.stripsLeadingSpace = rules.stripsLeadingSpace
    parts.addAddedTokens()
    parts.applyFlags(of: added, normalizesSpaces: rules.normalizesSpaces)
    if let unknown {
      parts.unknown = parts.id(of: unknown)
      if parts.unknown == nil, let id = model["vocab"]?[unknown]?.integer, id < parts.pieces.count {
        parts.unknown = Int32(id)
      }
    }
    if isUnigram { parts.unknown = kinds.firstIndex(of: .unknown).map { Int32($0) } }
    setSequenceTokens(of: &parts)
    return parts
  }

  private typealias Vocabulary = (tokens: [String], kinds: [TokenKind], scores: [Float])

  /// The tokens of a unigram model, which lists each with its log probability, and the added ones.
  private func unigramVocabulary(_ added: inout AddedTokenList) throws(TokenizerError) -> Vocabulary {
    guard let list = model["vocab"]?.array else { throw .malformed("model.vocab", expected: "an array") }
    var (tokens, kinds, scores): Vocabulary = ([], [], [])
    for entry in list {
      guard let pair = entry.array, pair.count == 2, let token = pair[0].string, let score = pair[1].double else {
        throw .malformed("an entry of model.vocab", expected: "a token and its score")
      }
      tokens.append(token)
      kinds.append(.normal)
      scores.append(Float(score))
    }
    let count = max(tokens.count, (added.tokens.map(\.id).max() ?? -1) + 1)
    if count == 0 { throw .emptyVocabulary }
    if count > tokens.count * 4 + 4096 || count > Tokenizer.largestVocabulary { throw .vocabularyTooLarge(count) }
    tokens += [String](repeating: "", count: count - tokens.count)
    kinds += [TokenKind](repeating: .unused, count: count - kinds.count)
    scores += [Float](repeating: 0, count: count - scores.count)
    let ids = Dictionary(list.indices.map { (Array(tokens[$0].utf8), $0) }) { first, _ in first }
    added.place(in: &tokens, &kinds) { ids[Array($0.utf8)] }
    scores += [Float](repeating: 0, count: tokens.count - scores.count)
    if let unknown = model["unk_id"]?.integer {
      guard kinds.indices.contains(unknown) else { throw .malformed("model.unk_id", expected: "the id of a token") }
      kinds[unknown] = .unknown
    }
    return (tokens, kinds, scores)
  }

  /// The tokens by id, the added ones among them; ids that nothing names are unused.
  private func vocabulary(_ added: inout AddedTokenList) throws(TokenizerError) -> Vocabulary {
    guard let vocabulary = model["vocab"]?.object else { throw .malformed("model.vocab", expected: "an object") }
    var count = 0
    for (_, value) in vocabulary {
      guard let id = value.integer, id >= 0 else { throw .malformed("an id of model.vocab", expected: "a number") }
      count = max(count, id + 1)
    }
    for token in added.tokens { count = max(count, token.id + 1) }
    if count == 0 { throw .emptyVocabulary }
    // Ids may leave gaps, but a file must not make room for what it does not hold.
    if count > (vocabulary.count + added.tokens.count) * 4 + 4096 || count > Tokenizer.largestVocabulary {
      throw .vocabularyTooLarge(count)
    }
    var tokens = [String](repeating: "", count: count)
    var kinds = [TokenKind](repeating: .unused, count: count)
    for (token, value) in vocabulary {
      guard let id = value.integer else { continue }
      tokens[id] = token
      kinds[id] = .normal
    }
    added.place(in: &tokens, &kinds) { vocabulary[$0]?.integer }
    return (tokens, kinds, [])
  }

  /// Merges are strings of two tokens or, since 2024, lists of two tokens.
  private func merges(
    _ parts: Tokenizer.Parts, alphabet: MergeSpelling.Alphabet
  ) throws(TokenizerError) -> (MergeTable, unlisted: Pieces) {
    guard let list = model["merges"]?.array else { throw .malformed("model.merges", expected: "an array") }
    var spelling = MergeSpelling(
      alphabet: alphabet, table: parts.table, pieces: parts.pieces, count: list.count, allowsUnlisted: limit != nil)
    for (index, merge) in list.enumerated() {
      switch merge {
      case .string(let merge): try spelling.append(merge, at: index)
      case .array(let pair):
        guard pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
          throw .malformedMerge(at: index)
        }
        try spelling.append(left, right, at: index)
      default: throw .malformedMerge(at: index)
      }
    }
    try spelling.finish()
    return (spelling.merges, spelling.unlisted)
  }

  /// The tokens that begin and end a sequence: from the configuration, else from the template and by their usual names.
  private func setSequenceTokens(of parts: inout Tokenizer.Parts) {
    func named(_ key: String) -> Int32? {
      guard let value = configuration?[key] else { return nil }
      return (value.string ?? value["content"]?.string).flatMap(parts.id(of:))
    }
    let templateStart = templateStart.flatMap(parts.id(of:))
    parts.beginOfSequence = named("bos_token") ?? templateStart
    if configuration == nil && parts.beginOfSequence == nil {
      parts.beginOfSequence =
        ["<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"].lazy.compactMap(parts.id(of:)).first
    }
    parts.endOfSequence = named("eos_token")
    if configuration == nil {
      parts.endOfSequence =
        ["<eos>", "</s>", "<|end_of_text|>", "<|im_end|>", "<|endoftext|>"].lazy.compactMap(parts.id(of:)).first
    }
    let startsByTemplate = templateStart != nil && templateStart == parts.beginOfSequence
    parts.addsBeginOfSequence =
      parts.beginOfSequence != nil && (configuration?["add_bos_token"]?.bool ?? startsByTemplate)
    if let end = parts.endOfSequence { parts.endOfGeneration.insert(end) }
  }

  /// The special token in front of the template of a single text.
  private var templateStart: String? {
    guard let processor = file["post_processor"] else { return nil }
    for step in processor["processors"]?.array ?? [processor] where step["type"]?.string == "TemplateProcessing" {
      if let token = step["single"]?.array?.first?["SpecialToken"]?["id"]?.string { return token }
    }
    return nil
  }
}

/// The `added_tokens` of a tokenizer.json.
struct AddedTokenList {
  struct Token {
    var id: Int
    var content: String
    var isSpecial: Bool
    var takesSpaceBefore: Bool
    var takesSpaceAfter: Bool
    var isNormalized: Bool
  }

  private(set) var tokens: [Token] = []

  init(_ list: JSONValue?) throws(TokenizerError) {
    for entry in list?.array ?? [] {
      guard let id = entry["id"]?.integer, (0..<Tokenizer.largestVocabulary).contains(id),
        let content = entry["content"]?.string
      else { throw .malformed("an added token", expected: "an object with id and content") }
      if entry["single_word"]?.bool == true { throw .unsupported("added token that must be a whole word", content) }
      tokens.append(
        Token(
          id: id, content: content, isSpecial: entry["special"]?.bool ?? false,
          takesSpaceBefore: entry["lstrip"]?.bool ?? false, takesSpaceAfter: entry["rstrip"]?.bool ?? false,
          isNormalized: entry["normalized"]?.bool ?? !(entry["special"]?.bool ?? false)))
    }
  }

  /// Puts the tokens at their ids, as the `tokenizers` package does: one that the model knows has the model's id, whatever
  /// the list says, one that is listed twice the first of its ids, and one whose id belongs to another comes after all.
  mutating func place(
    in list: inout [String], _ kinds: inout [TokenKind], knownID: (String) -> Int?
  ) {
    var ids: [[UInt8]: Int] = [:]
    for index in tokens.indices {
      let token = tokens[index]
      if let known = ids[Array(token.content.utf8)] ?? knownID(token.content) {
        tokens[index].id = known
      } else if kinds[token.id] != .unused {
        tokens[index].id = list.count
        list.append("")
        kinds.append(.unused)
      }
      ids[Array(token.content.utf8)] = tokens[index].id
      list[tokens[index].id] = token.content
      kinds[tokens[index].id] = token.isSpecial ? .control : .userDefined
    }
  }

  /// Forgets the tokens from an id on.
  mutating func limit(to count: Int) { tokens.removeAll { $0.id >= count } }
}

extension Tokenizer.Parts {
  /// - Parameter normalizesSpaces: whether the normalizer replaces spaces by U+2581, not the pre-tokenizer
  fileprivate mutating func applyFlags(of list: AddedTokenList, normalizesSpaces: Bool) {
    let tokens = Dictionary(list.tokens.map { (Int32($0.id), $0) }) { _, last in last }
    func applied(_ added: AddedToken) -> AddedToken {
      var added = added
      guard let token = tokens[added.id] else { return added }
      added.takesSpaceBefore = token.takesSpaceBefore
      added.takesSpaceAfter = token.takesSpaceAfter
      added.isNormalized = token.isNormalized
      if normalizesSpaces {
        // U+2581 is no white space, so there is none to take.
        if token.isNormalized { (added.takesSpaceBefore, added.takesSpaceAfter) = (false, false) }
      } else if token.content.unicodeScalars.contains("\u{2581}") {
        added.isNormalized = false
      }
      // Unless it is looked for in prepared text, U+2581 is looked for as it is written.
      added.content = Array(token.content.utf8)
      added.pattern = added.isNormalized ? normalized(added.content) : added.content
      return added
    }
    special = special.map(applied)
    userDefined = userDefined.map(applied)
  }

  /// What the normalizer makes of a text.
  private func normalized(_ text: [UInt8]) -> [UInt8] {
    var composed: [UInt8] = []
    if case .always = spacePrefix, !text.isEmpty { composed.append(0x20) }
    if composesCanonically {
      text.withUnsafeBufferPointer { CanonicalComposition.append($0, to: &composed) }
    } else {
      composed.append(contentsOf: text)
    }
    guard symbols == .scalars else { return composed }
    var result: [UInt8] = []
    LowerBlock.append(composed, to: &result)
    return result
  }

  /// The id of an added token by its spelling.
  fileprivate func id(of spelling: String) -> Int32? {
    let bytes = Array(spelling.utf8)
    return (special + userDefined).first { $0.content == bytes }?.id
  }
}
