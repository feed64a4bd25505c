import ModelJSON

/// What `normalizer` and `pre_tokenizer` of a tokenizer.json say about the text before it is merged.
struct TextRules {
  private(set) var isByteLevel = false
  private(set) var composesCanonically = false
  private(set) var spacePrefix = Tokenizer.SpacePrefix.never
  private(set) var passes: [SplitPattern] = []
  /// What cuts text into pieces before each of them gets a space in front; nil where only all of the text does.
  private(set) var passesBeforePrefix: [SplitPattern]?
  private(set) var characterMap: CharacterMap?
  private(set) var spaceRule = SpaceRule()
  /// Whether the normalizer replaces spaces by U+2581, so that what is searched for in normalized text has that.
  private(set) var normalizesSpaces = false
  private var replacesSpaces = false

  /// Whether decoding takes the space away that encoding put in front.
  var stripsLeadingSpace: Bool {
    if isByteLevel { return false }
    if case .never = spacePrefix { return passesBeforePrefix != nil }
    return true
  }

  init(normalizer: JSONValue?, preTokenizer: JSONValue?) throws(TokenizerError) {
    try readNormalizer(normalizer)
    normalizesSpaces = replacesSpaces
    try readPreTokenizer(preTokenizer)
    // Without the byte alphabet or SentencePiece's sign for a space there is no telling what tokens spell.
    if !isByteLevel && !replacesSpaces { throw .unsupported("pre_tokenizer", "neither ByteLevel nor Metaspace") }
    if isByteLevel && replacesSpaces { throw .unsupported("pre_tokenizer", "ByteLevel after replaced spaces") }
  }

  private mutating func readNormalizer(_ normalizer: JSONValue?) throws(TokenizerError) {
    guard let normalizer, !normalizer.isNull else { return }
    let type = normalizer["type"]?.string ?? "none"
    switch type {
    case "Sequence":
      for step in normalizer["normalizers"]?.array ?? [] { try readNormalizer(step) }
    case "NFC": composesCanonically = true
    case "Precompiled":
      // An empty map changes nothing.
      guard let text = normalizer["precompiled_charsmap"]?.string, !text.isEmpty else { return }
      guard let bytes = Self.decodingBase64(text) else {
        throw .malformed("the precompiled_charsmap", expected: "base 64")
      }
      guard spaceRule.joins == nil, !composesCanonically else { throw .unsupported("normalizer before", type) }
      characterMap = try CharacterMap(bytes, matching: .graphemes)
    case "Strip" where normalizer["strip_left"]?.bool == false:
      if normalizer["strip_right"]?.bool ?? true { spaceRule.stripsEnd = .whiteSpace }
    case "Replace"
    where normalizer["pattern"]?["Regex"]?.string == " {2,}"
      && [" ", "\u{2581}"].contains(normalizer["content"]?.string):
      spaceRule.joins = .spaces
    case "Prepend" where normalizer["prepend"]?.string == "\u{2581}": spacePrefix = .always
    case "Replace"
    where normalizer["pattern"]?["String"]?.string == " " && normalizer["content"]?.string == "\u{2581}":
      replacesSpaces = true
    default: throw .unsupported("normalizer", type)
    }
  }

  private mutating func readPreTokenizer(_ step: JSONValue?) throws(TokenizerError) {
    guard let step, !step.isNull else { return }
    let type = step["type"]?.string ?? "none"
    switch type {
    case "Sequence":
      for step in step["pretokenizers"]?.array ?? [] { try readPreTokenizer(step) }
    case "ByteLevel":
      isByteLevel = true
      if step["add_prefix_space"]?.bool ?? true { prefixEachPiece() }
      if step["use_regex"]?.bool ?? true { passes.append(.gpt2) }
    case "Digits":
      let isEach = step["individual_digits"]?.bool ?? false
      passes.append(isByteLevel ? .byteDigits(maximum: isEach ? 1 : .max) : .runs(isEach ? .digit : .digits))
    case "Punctuation":
      let behavior = step["behavior"]?.string ?? "Isolated"
      guard !isByteLevel, behavior == "Contiguous" || behavior == "Isolated" else {
        throw .unsupported("punctuation behavior", behavior)
      }
      var run = ScalarRun.punctuation
      if behavior == "Isolated" { run.maximum = 1 }
      passes.append(.runs(run))
    case "Metaspace": try readMetaspace(step)
    case "WhitespaceSplit":
      guard passes.isEmpty, !isByteLevel else { throw .unsupported("pre_tokenizer before", type) }
      spaceRule = SpaceRule(joins: .whiteSpace, stripsStart: true, stripsEnd: .whiteSpace)
    case "Split": try readSplit(step)
    default: throw .unsupported("pre_tokenizer", type)
    }
  }

  private mutating func readMetaspace(_ step: JSONValue) throws(TokenizerError) {
    let replacement = step["replacement"]?.string ?? "\u{2581}"
    guard replacement == "\u{2581}" else { throw .unsupported("replacement of spaces", replacement) }
    replacesSpaces = true
    let scheme = step["prepend_scheme"]?.string ?? (step["add_prefix_space"]?.bool ?? true ? "always" : "never")
    switch scheme {
    case "first": spacePrefix = .atStartUnlessPresent
    case "always": prefixEachPiece()
    case "never": break
    default: throw .unsupported("prepend_scheme", scheme)
    }
    if step["split"]?.bool ?? true { passes.append(.spaces) }
  }

  /// Has every piece that there is by now begin with a space.
  private mutating func prefixEachPiece() {
    guard !passes.isEmpty, passesBeforePrefix == nil else {
      spacePrefix = .unlessPresent
      return
    }
    passesBeforePrefix = passes
    passes = []
  }

  /// The bytes of a text in base 64; nil where it is none.
  private static func decodingBase64(_ text: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var (bits, count): (UInt32, Int) = (0, 0)
    for byte in text.utf8 where byte != UInt8(ascii: "=") {
      let digit: UInt8
      switch byte {
      case 0x41...0x5A: digit = byte - 0x41
      case 0x61...0x7A: digit = byte - 0x61 + 26
      case 0x30...0x39: digit = byte - 0x30 + 52
      case UInt8(ascii: "+"): digit = 62
      case UInt8(ascii: "/"): digit = 63
      default: return nil
      }
      bits = bits << 6 | UInt32(digit)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    return bytes
  }

  private mutating func readSplit(_ step: JSONValue) throws(TokenizerError) {
    // Gemma splits at spaces that its normalizer has replaced: none is left to split at.
    if replacesSpaces, step["pattern"]?["String"]?.string == " ", step["invert"]?.bool != true { return }
    guard let pattern = step["pattern"]?["Regex"]?.string ?? step["pattern"]?["String"]?.string else {
      throw .malformed("the pattern of a Split", expected: "a Regex or a String")
    }
    guard let known = SplitPattern.known(pattern, afterByteLevel: isByteLevel) else {
      throw .unsupported("Split pattern", pattern)
    }
    // Patterns that cover the text come with "Removed" and "invert" in some files: what does not match goes.
    let behavior = step["behavior"]?.string ?? ""
    let isInverted = step["invert"]?.bool ?? false
    guard behavior == "Isolated" && !isInverted || behavior == "Removed" && isInverted && known.coversText else {
      throw .unsupported("Split behavior", behavior)
    }
    passes.append(known)
  }
}

extension SplitPattern {
  /// Whether every character belongs to a match.
  fileprivate var coversText: Bool {
    switch self {
    case .gpt2, .gpt4: true
    default: false
    }
  }

  /// A pattern by its regular expression; nil where it is not known.
  static func known(_ expression: String, afterByteLevel: Bool) -> SplitPattern? {
    let rest = #" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    let restWithSlash = #" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    let contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
    let anyCase = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    let letters = #"[^\r\n\p{L}\p{N}]?\p{L}+"#
    let small = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"#
    let capital = #"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"#
    let marks = #"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+"#
    if afterByteLevel {
      // What stands after ByteLevel sees the byte alphabet, where only what is written in ASCII keeps its meaning.
      return expression == "[0-9][0-9][0-9]" ? .runs(.exactlyThreeDigits) : nil
    }
    switch spelledOut(expression) {
    case #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#,
      #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#:
      return .gpt2
    case "\(contractions)|\(letters)|\\p{N}{1,3}|\(rest)", "\(anyCase)|\(letters)|\\p{N}{1,3}|\(rest)":
      return .gpt4(.llama3)
    case "\(contractions)|\(letters)|\\p{N}|\(rest)", "\(anyCase)|\(letters)|\\p{N}|\(rest)":
      return .gpt4(.qwen2)
    case #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#:
      // One line break after `\s*` reaches as far as many, and what is possessive has nothing to give back.
      return .gpt4(.qwen2)
    case #"\#(contractions)|\#(letters)|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"#:
      return .gpt4(.seedCoder)
    case "\(letters)|\\p{N}|\(rest)":
      return .gpt4(GPT4Pattern(contractions: .none, digits: 1))
    case #" ?[^(\s|.,!?…。，、।۔،)]+"#, #" ?[^(\s|[.,!?…。，、।۔،])]+"#: return .bloom
    case "\(contractions)|\(letters)|\\p{N}+|\(rest)":
      return .gpt4(GPT4Pattern(digits: .max))
    case #"\#(contractions)|\#(marks)|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#:
      return .gpt4(.qwen35)
    case "\(small)\(contractions)?|\(capital)\(contractions)?|\\p{N}{1,3}|\(restWithSlash)":
      return .gpt4(.gpt4o)
    case "\(small)|\(capital)|\\p{N}|\(restWithSlash)":
      return .gpt4(.tekken)
    case ##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"##
      + #" ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#:
      return .deepseek3(DeepSeek3Pattern())
    case #"\p{N}{1,3}"#: return .runs(.threeDigits)
    case #"\p{N}+"#: return .runs(.digits)
    case #"\p{N}"#: return .runs(.digit)
    case "[0-9][0-9][0-9]": return .runs(.exactlyThreeDigits)
    case #"[\r\n]"#: return .runs(.lineBreak)
    case #"\s?\p{L}+"#: return .runs(.spacedLetters)
    case #"\s?\p{P}+"#: return .runs(.spacedPunctuation)
    case #"\s+$"#: return .trailingSpace
    case "[一-龥぀-ゟ゠-ヿ]+": return .runs(.hanAndKana)
    case "[一-龥ࠀ-一가-퟿]+": return .runs(.wideLetters)
    case #"\s?[!-/:-~！-／：-～‘-‟　-。]+"#: return .runs(.spacedWidePunctuation)
    default: break
    }
    if expression.hasPrefix(#"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓ"#), expression.hasSuffix("𞤀-𞥃]+") {
      return .runs(.spacedCasedLetters)
    }
    return nil
  }

  /// An expression with its line breaks written as escapes, as some files have them and some have not.
  private static func spelledOut(_ expression: String) -> String {
    expression.unicodeScalars.reduce(into: "") { text, scalar in
      switch scalar {
      case "\r": text += #"\r"#
      case "\n": text += #"\n"#
      default: text.unicodeScalars.append(scalar)
      }
    }
  }
}
