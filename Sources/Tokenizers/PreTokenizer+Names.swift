extension PreTokenizer {
  /// A pre-tokenizer by the name that GGUF files give it, and what goes with the name.
  struct Named {
    var preTokenizer: PreTokenizer
    /// A word that is a token stays whole even where merges would not lead there.
    var keepsWholeWords = false
    var addsBeginOfSequence = false
  }

  /// The pre-tokenizer of a GGUF file; nil for a name that is not known.
  static func named(_ name: String) -> Named? {
    switch name {
    case "default", "":
      Named(preTokenizer: .unnamed)
    case "gpt-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "phi-2", "jina-es", "jina-de", "jina-v2-es",
      "jina-v2-de", "jina-v1-en", "jina-v2-code", "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert",
      "exaone4":
      Named(preTokenizer: PreTokenizer([.gpt2]))
    case "starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2":
      Named(preTokenizer: PreTokenizer([.runs(.digit), .gpt2]))
    case "falcon":
      Named(preTokenizer: PreTokenizer([.runs(.punctuation), .gpt2, .runs(.exactlyThreeDigits)]))
    case "llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano":
      Named(preTokenizer: PreTokenizer([.gpt4(.llama3)]), keepsWholeWords: true, addsBeginOfSequence: true)
    case "dbrx", "smaug-bpe", "chatglm-bpe":
      Named(preTokenizer: PreTokenizer([.gpt4(.llama3)]))
    case "glm4", "glm5":
      Named(preTokenizer: PreTokenizer([.gpt4(.llama3)]), keepsWholeWords: true)
    case "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2",
      "bailingmoe", "bailingmoe2", "llada-moe":
      Named(preTokenizer: PreTokenizer([.gpt4(.qwen2)]))
    case "qwen35":
      Named(preTokenizer: PreTokenizer([.gpt4(.qwen35)]))
    case "gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2":
      Named(preTokenizer: PreTokenizer([.gpt4(.gpt4o)]))
    case "tekken":
      Named(preTokenizer: PreTokenizer([.gpt4(.tekken)]), keepsWholeWords: true, addsBeginOfSequence: true)
    case "deepseek-llm":
      Named(preTokenizer: .deepSeekLLM)
    case "deepseek-coder":
      Named(preTokenizer: .deepSeekCoder)
    case "deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4":
      Named(preTokenizer: .deepSeek3)
    default: rare(name)
    }
  }

  /// What files without a name get: the pre-tokenizer of GPT-2 between punctuation, with digits in threes.
  private static let unnamed = PreTokenizer([
    .runs(.punctuationWithoutGrave), .gpt2, .runs(.digits), .runs(.exactlyThreeDigits),
  ])

  private static let deepSeekLLM = PreTokenizer([
    .runs(.lineBreak),
    .runs(.spacedCasedLetters),
    .runs(.spacedWidePunctuation),
    .trailingSpace,
    .runs(.wideLetters),
    .runs(.digits),
  ])

  private static let deepSeekCoder = PreTokenizer([
    .runs(.lineBreak),
    .runs(.spacedLetters),
    .runs(.spacedPunctuation),
    .runs(.wideLetters),
    .runs(.digit),
  ])

  private static let deepSeek3 = PreTokenizer([
    .runs(.threeDigits),
    .runs(.hanAndKana),
    .deepseek3(DeepSeek3Pattern()),
  ])
}
