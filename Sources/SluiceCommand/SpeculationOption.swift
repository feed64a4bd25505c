import ArgumentParser
import Engine

/// Whether next tokens are guessed.
struct SpeculationOption: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      """
      Guess tokens that repeat the text, up to so many at once, and check them in one step: faster where the text repeats \
      itself, and the same text but for rounding. auto (without it) guesses where it pays, off never.
      """, valueName: "auto|off|N"),
    transform: Self.speculation)
  var speculate = Speculation.automatic

  private static func speculation(_ text: String) throws -> Speculation {
    guard let speculation = Speculation(argument: text) else {
      throw ValidationError(
        "--speculate is auto, off, or a number from 1 to \(Speculation.largestCount), not '\(text)'")
    }
    return speculation
  }
}
