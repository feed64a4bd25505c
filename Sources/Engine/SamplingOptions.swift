/// How the next token is chosen from the logits.
///
/// Applied in this order: penalties, top-k, top-p, min-p, temperature; each part is off at its neutral value. Names and
/// defaults are those that users of llama.cpp know.
public struct SamplingOptions: Sendable, Hashable {
  /// 0 always takes the likeliest token; larger values flatten the distribution.
  public var temperature: Double
  /// Only the k likeliest tokens; 0 is off.
  public var topK: Int
  /// Only the likeliest tokens that together reach this probability; 1 is off.
  public var topP: Double
  /// Only tokens at least this fraction as likely as the likeliest; 0 is off.
  public var minP: Double
  /// Divides positive and multiplies negative logits of recent tokens; 1 is off.
  public var repetitionPenalty: Double
  /// Subtracted once from the logit of every recent token; 0 is off.
  public var presencePenalty: Double
  /// Subtracted from the logit of a recent token once per occurrence; 0 is off.
  public var frequencyPenalty: Double
  /// How many recent tokens the penalties look at.
  public var penaltyWindow: Int
  /// The same seed gives the same text; nil takes a new one each time.
  public var seed: UInt64?

  public init(
    temperature: Double = 0.8, topK: Int = 40, topP: Double = 0.95, minP: Double = 0.05, repetitionPenalty: Double = 1,
    presencePenalty: Double = 0, frequencyPenalty: Double = 0, penaltyWindow: Int = 64, seed: UInt64? = nil
  ) {
    self.temperature = temperature
    self.topK = topK
    self.topP = topP
    self.minP = minP
    self.repetitionPenalty = repetitionPenalty
    self.presencePenalty = presencePenalty
    self.frequencyPenalty = frequencyPenalty
    self.penaltyWindow = penaltyWindow
    self.seed = seed
  }

  /// Always the likeliest token.
  public static let greedy = SamplingOptions(temperature: 0)

  /// The name and the reason of the first impossible value, or nil.
  package var problem: String? {
    let checks: [(Bool, String)] = [
      (temperature >= 0 && temperature.isFinite, "temperature must be 0 or more"),
      (topK >= 0, "top-k must be 0 or more"),
      (topP > 0 && topP <= 1, "top-p must be above 0 and at most 1"),
      (minP >= 0 && minP <= 1, "min-p must be from 0 to 1"),
      (repetitionPenalty > 0 && repetitionPenalty.isFinite, "repetition penalty must be above 0"),
      (presencePenalty.isFinite, "presence penalty must be a number"),
      (frequencyPenalty.isFinite, "frequency penalty must be a number"),
      (penaltyWindow >= 0, "penalty window must be 0 or more"),
    ]
    return checks.first { !$0.0 }?.1
  }
}
