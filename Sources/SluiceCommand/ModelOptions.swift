import ArgumentParser
import Engine
import KVCaches
import Tokenizers

/// Which model runs, and on what.
struct ModelOptions: ParsableArguments {
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "A GGUF file, a Hugging Face directory, or a pulled model as OWNER/REPO[:QUANT]; the default model without it.",
      valueName: "model"))
  var model: String?

  @Option(name: [.short, .long], help: "Threads that compute; all CPUs without it.")
  var threads: Int?

  @Option(name: .long, help: "The most tokens of a prompt that are computed at once.")
  var chunk = 512

  @Flag(name: .long, help: "Multiply with float32 activations instead of int8 ones: slower, and exact to rounding.")
  var exact = false

  @OptionGroup var adapters: AdapterOptions

  func validate() throws {
    guard (1...65536).contains(chunk) else { throw ValidationError("--chunk must be from 1 to 65536, but is \(chunk)") }
    if let threads, !(1...1024).contains(threads) {
      throw ValidationError("--threads must be from 1 to 1024, but are \(threads)")
    }
  }

  func load() throws -> LanguageModel.Loaded {
    let path = try ModelLocator.path(of: model)
    let loaded = try LanguageModel.Loaded(
      path: path,
      options: LanguageModel.Options(
        threads: threads, chunk: chunk, exactArithmetic: exact, adapters: adapters.lora))
    StandardError.warn(loaded.tokenizer.warnings)
    return loaded
  }
}

/// What the model remembers.
struct CacheOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "What is remembered: \(KVCache.Plan.knownForms); stages are joined by commas, as sinks:4,window:1020.",
      valueName: "spec"))
  var cache = "full"

  @OptionGroup var slots: SlotTypeOption
}

/// How stored keys and values are written.
struct SlotTypeOption: ParsableArguments {
  @Option(
    name: .long, help: "The number format of stored keys and values: f32, f16, bf16 or q8_0.",
    transform: { text in
      guard let type = KVCache.SlotType(rawValue: text) else {
        let known = KVCache.SlotType.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("'\(text)' is no type of stored keys and values; known are \(known)")
      }
      return type
    })
  var cacheType = KVCache.SlotType.float16
}

/// How the next token is chosen.
struct SamplingFlags: ParsableArguments {
  @Option(name: .customLong("temp"), help: "Temperature; 0 always takes the likeliest token.")
  var temperature = 0.8
  @Option(name: .long, help: "Only the k likeliest tokens; 0 is off.")
  var topK = 40
  @Option(name: .long, help: "Only the likeliest tokens that together reach this probability; 1 is off.")
  var topP = 0.95
  @Option(name: .long, help: "Only tokens at least this fraction as likely as the likeliest; 0 is off.")
  var minP = 0.05
  @Option(name: .long, help: "Divides the logits of recent tokens; 1 is off.")
  var repeatPenalty = 1.0
  @Option(name: .customLong("repeat-last-n"), help: "How many recent tokens the penalties look at.")
  var repeatLastN = 64
  @Option(name: .long, help: "Subtracted once from the logit of every recent token.")
  var presencePenalty = 0.0
  @Option(name: .long, help: "Subtracted from the logit of a recent token once per occurrence.")
  var frequencyPenalty = 0.0
  @Option(name: .long, help: "The same seed gives the same text; a new one each time without it.")
  var seed: UInt64?

  var options: SamplingOptions {
    SamplingOptions(
      temperature: temperature, topK: topK, topP: topP, minP: minP, repetitionPenalty: repeatPenalty,
      presencePenalty: presencePenalty, frequencyPenalty: frequencyPenalty, penaltyWindow: repeatLastN, seed: seed)
  }

  func validate() throws {
    if let problem = options.problem { throw ValidationError(problem) }
  }
}
