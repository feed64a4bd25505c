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

  /// Loads the model and says what is odd about its files.
  ///
  /// - Parameter isQuiet: keeps notes, which change nothing, from standard error; warnings come all the same.
  func load(isQuiet: Bool = false) throws -> LanguageModel.Loaded {
    let path = try ModelLocator.path(of: model)
    let loaded = try LanguageModel.Loaded(
      path: path,
      options: LanguageModel.Options(
        threads: threads, chunk: chunk, exactArithmetic: exact, adapters: adapters.lora))
    StandardError.write(loaded.notices, isQuiet: isQuiet)
    return loaded
  }
}

/// What the model remembers.
struct CacheOptions: ParsableArguments {
  @Option(name: .long, help: Self.cacheHelp)
  var cache = "full"

  static let cacheHelp = ArgumentHelp(
    "What is remembered: \(KVCache.Plan.knownForms); stages are joined by commas, as sinks:4,window:1020. run, chat, serve "
      + "and inspect also take auto:BYTES, as auto:64MiB, which chooses for the model.",
    valueName: "spec")

  @OptionGroup var slots: SlotTypeOption
}

/// How stored keys and values are written.
struct SlotTypeOption: ParsableArguments {
  @Option(name: .long, help: Self.help, transform: Self.slotType)
  var cacheType: KVCache.SlotType?

  /// F16 where nothing else was asked for.
  var type: KVCache.SlotType { cacheType ?? .float16 }

  static let help: ArgumentHelp =
    "The number format of stored keys and values: f32, f16, bf16, q8_0, or q8_0/q4_1 for values of 4 bits."

  static func slotType(_ text: String) throws -> KVCache.SlotType {
    guard let type = KVCache.SlotType(rawValue: text) else {
      let known = KVCache.SlotType.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("'\(text)' is no type of stored keys and values; known are \(known)")
    }
    return type
  }
}
