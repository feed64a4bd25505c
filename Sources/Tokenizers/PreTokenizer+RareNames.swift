extension PreTokenizer {
  /// Pre-tokenizers of single models, by GGUF's names (llama.cpp, llama-vocab.cpp).
  ///
  /// Not built: `kimi-k2`, `tiny_aya`, `cohere2moe`, `superbpe`, `afmoe`, `exaone-moe`, `chameleon`, `jais-2`, `spark2_5`.
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
    case "bloom", "poro-chat", "gpt3-finnish":
      Named(preTokenizer: PreTokenizer([.bloom]))
    case "viking":
      Named(preTokenizer: PreTokenizer([.bloom, .runs(.digit)]))
    default: nil
    }
  }

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
    .gpt4(GPT4Pattern(words: .cased, contractions: .attached, digits: 1, takesSlash: true)),
  ])
}
