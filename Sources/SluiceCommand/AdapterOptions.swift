import ArgumentParser
import Engine

/// Which low-rank adapters change the model.
struct AdapterOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      """
      A low-rank adapter of the model: a PEFT directory or a GGUF adapter, with a scale if that is not 1. Given several \
      times, their effects add up.
      """,
      valueName: "path[:scale]"),
    transform: Self.adapter)
  var lora: [LanguageModel.Adapter] = []

  /// What follows the last colon is the scale if it is a number; any other text is a path.
  private static func adapter(_ text: String) throws -> LanguageModel.Adapter {
    var (path, scale) = (text, 1.0)
    if let colon = text.lastIndex(of: ":"), let number = Double(text[text.index(after: colon)...]) {
      (path, scale) = (String(text[..<colon]), number)
    }
    guard !path.isEmpty else { throw ValidationError("--lora needs the path of an adapter, but is '\(text)'") }
    guard scale.isFinite else { throw ValidationError("--lora takes a finite scale, but is '\(text)'") }
    return LanguageModel.Adapter(path, scale: scale)
  }
}
