extension PreTokenizer {
  /// Pre-tokenizers of single models, by GGUF's names (llama.cpp, llama-vocab.cpp).
  ///
  /// Not built: `jais-2`, whose pieces of white space depend on a run's end however far that is.
  static func rare(_ name: String) -> Named? {
    switch name {
    case "minicpm5":
      Named(preTokenizer: PreTokenizer([.runs(.threeDigits), .gpt4(GPT4Pattern(digits: .max))]), keepsWholeWords: true)
    case "seed-coder":
      Named(preTokenizer: PreTokenizer([.gpt4(.seedCoder)]))
    case "laguna":
      Named(preTokenizer: PreTokenizer([.lines, .gpt4(.qwen2)]))
    case "ufakzeka":
      Named(preTokenizer: PreTokenizer([.gpt4(GPT4Pattern(contractions: .none, digits: 1))]))
    case "granite-embed-multi-97m":
      Named(preTokenizer: PreTokenizer([.gpt4(.gpt4o)]), keepsWholeWords: true)
    case "youtu":
      Named(preTokenizer: youtu, keepsWholeWords: true)
    case "kimi-k2":
      Named(preTokenizer: PreTokenizer([.gpt4(.kimi)]))
    case "tiny_aya", "cohere2moe":
      Named(preTokenizer: tinyAya)
    case "superbpe":
      Named(preTokenizer: superBPE)
    case "afmoe":
      Named(preTokenizer: afmoe)
    case "exaone-moe":
      Named(preTokenizer: PreTokenizer([.gpt4(.exaoneMoE)]))
    case "chameleon":
      Named(preTokenizer: PreTokenizer([.chameleon, .runs(.digit), .runs(.onePunctuation), .gpt2]))
    case "spark2_5":
      Named(preTokenizer: spark)
    case "bloom", "poro-chat", "gpt3-finnish":
      Named(preTokenizer: PreTokenizer([.bloom]))
    case "viking":
      Named(preTokenizer: PreTokenizer([.bloom, .runs(.digit)]))
    default: nil
    }
  }

  private static let tinyAya = PreTokenizer([
    .digitThrees(DigitThrees(pass: .beforeThrees, isolates: true)), .digitThrees(DigitThrees(pass: .threes)),
    .gpt4(.gpt4o),
  ])

  /// No pass cuts words, so that tokens may span several.
  private static let superBPE = PreTokenizer([
    .runs(.digits), .digitThrees(DigitThrees(pass: .beforeThrees)), .digitThrees(DigitThrees(pass: .threes)),
  ])

  private static let spark = PreTokenizer([
    .runs(.threeDigits), .runs(.hanAndKana), .deepseek3(DeepSeek3Pattern(joinsLineBreaks: false)), .runs(.digit),
  ])

  /// Numbers in threes from the right, runs of scripts without spaces, then DeepSeek's.
  private static let afmoe = PreTokenizer([
    .runs(.digits), .digitThrees(DigitThrees(pass: .beforeThrees, digits: .numbers)),
    .digitThrees(DigitThrees(pass: .threes, digits: .numbers)),
    .runs(
      ScalarRun(
        set: ScalarSet(ranges: [
          0xE40...0xE7F, 0xE80...0xEFF, 0x1000...0x109F, 0x1100...0x11FF, 0x1780...0x17FF, 0x2F00...0x2FDF,
          0x3040...0x309F, 0x30A0...0x30FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA9E0...0xA9FF, 0xAA60...0xAA7F,
          0xAC00...0xD7AF, 0xF900...0xFAFF, 0xFF65...0xFF9F,
        ]))),
    .deepseek3(DeepSeek3Pattern()),
  ])

  /// `[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+`, one pass each since the sets are apart, then GPT-4o's
  /// with single digits.
  private static let youtu = PreTokenizer([
    .runs(ScalarRun(set: ScalarSet(ranges: [0x3131...0x318E, 0xAC00...0xD7A3]))),
    .runs(
      ScalarRun(
        set: ScalarSet(ranges: [
          0x2014...0x2014, 0x2018...0x2019, 0x201C...0x201D, 0x2026...0x2026, 0x3001...0x303F, 0xFE30...0xFE4F,
          0xFF01...0xFF01, 0xFF0C...0xFF0C, 0xFF1A...0xFF1B,
        ]))),
    .runs(ScalarRun(set: ScalarSet(ranges: [0x3105...0x312F]))),
    .runs(.hanAndKana),
    .gpt4(GPT4Pattern(words: .cased, contractions: .attached, digits: 1, afterSymbols: .lineBreaksAndSlashes)),
  ])
}
