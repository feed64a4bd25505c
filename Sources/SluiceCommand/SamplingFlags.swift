import ArgumentParser
import Engine

/// How the next token is chosen.
struct SamplingFlags: ParsableArguments {
  @Option(name: .customLong("temp"), help: "Temperature; 0 always takes the likeliest token (default: 0.8).")
  var temperature: Double?
  @Option(name: .long, help: "Only the k likeliest tokens; 0 is off (default: 40).")
  var topK: Int?
  @Option(
    name: .long, help: "Only the likeliest tokens that together reach this probability; 1 is off (default: 0.95).")
  var topP: Double?
  @Option(name: .long, help: "Only tokens at least this fraction as likely as the likeliest; 0 is off (default: 0.05).")
  var minP: Double?
  @Option(name: .long, help: "Divides the logits of recent tokens; 1 is off (default: 1).")
  var repeatPenalty: Double?
  @Option(name: .customLong("repeat-last-n"), help: "How many recent tokens the penalties look at.")
  var repeatLastN = 64
  @Option(name: .long, help: "Subtracted once from the logit of every recent token.")
  var presencePenalty = 0.0
  @Option(name: .long, help: "Subtracted from the logit of a recent token once per occurrence.")
  var frequencyPenalty = 0.0
  @Option(name: .long, help: "The same seed gives the same text; a new one each time without it.")
  var seed: UInt64?

  /// What was asked for; the rest as a model's authors recommend, or as usual.
  func options(defaults: SamplingDefaults = SamplingDefaults()) -> SamplingOptions {
    var options = defaults.options
    if let temperature { options.temperature = temperature }
    if let topK { options.topK = topK }
    if let topP { options.topP = topP }
    if let minP { options.minP = minP }
    if let repeatPenalty { options.repetitionPenalty = repeatPenalty }
    options.penaltyWindow = repeatLastN
    (options.presencePenalty, options.frequencyPenalty) = (presencePenalty, frequencyPenalty)
    options.seed = seed
    return options
  }

  func validate() throws {
    if let problem = options().problem { throw ValidationError(problem) }
  }
}
