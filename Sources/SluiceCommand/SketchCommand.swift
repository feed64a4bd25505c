import ArgumentParser
import Evaluation
import Foundation
import ModelJSON

struct SketchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sketch",
    abstract: "How well one-pass sketches stand for attention, on made-up heads; no model is read.",
    discussion: """
      degree: how well polynomials of some degrees stand for e^x up to a bound on |x|, the largest relative error of \
      three kinds each; and the largest error of attention over random keys with the last of them, beside its proven bound.

      recovery: how far the largest outputs of one column, recovered from sketches whose size does not depend on the \
      tokens, are from the true column; best is what as many exact entries would leave. A projection shortens keys and \
      values, too.
      """)

  enum Experiment: String, CaseIterable, ExpressibleByArgument { case degree, recovery }

  @Option(name: .long, help: "The experiment to run; both without it.")
  var experiment: Experiment?
  @Option(name: .long, help: "Tokens of the made-up heads.")
  var tokens = 2000
  @Flag(name: .long, help: "Print one JSON object per row, a line each.")
  var json = false
  @Option(name: .long, help: ArgumentHelp("Draw the experiment.", valueName: "file.svg"))
  var plot: String?

  func validate() throws {
    guard (100...1 << 14).contains(tokens) else {
      throw ValidationError("--tokens must be from 100 to 16384, but is \(tokens)")
    }
    if plot != nil, experiment == nil {
      throw ValidationError("--plot draws one experiment, so say which with --experiment degree or recovery")
    }
  }

  func run() throws {
    if let plot { try OutputFile.check(plot) }
    if experiment != .recovery {
      let rows = SketchExperiment.degrees(tokens: tokens)
      StandardOutput.write(json ? Self.lines(rows.map(\.json)) : Self.table(rows).text)
      if let plot { try OutputFile.write(SketchExperiment.plot(rows).svg(), to: plot) }
    }
    if experiment == nil, !json { StandardOutput.write("\n") }
    if experiment != .degree {
      let rows = SketchExperiment.recoveries(tokens: tokens)
      StandardOutput.write(json ? Self.lines(rows.map(\.json)) : Self.table(rows).text)
      if let plot { try OutputFile.write(SketchExperiment.plot(rows).svg(), to: plot) }
    }
  }

  private static func lines(_ objects: [JSONValue]) -> String { objects.map { $0.text + "\n" }.joined() }

  private static func table(_ rows: [SketchExperiment.Degree]) -> TextTable {
    var table = TextTable(
      ["bound", "degree", "Taylor", "Chebyshev", "minimax", "output error", "its bound"].map { .init($0, .trailing) })
    for row in rows {
      table.append(
        [HumanReadable.decimal(row.bound, places: 0), "\(row.degree)"]
          + [row.taylor, row.chebyshev, row.minimax, row.outputError, row.outputBound].map(scientific))
    }
    return table
  }

  private static func table(_ rows: [SketchExperiment.Recovery]) -> TextTable {
    var table = TextTable(
      [.init("instance")]
        + [
          "kept", "rows", "buckets", "projection", "length", "error", "best", "error/best", "by projection", "numbers",
        ]
        .map { .init($0, .trailing) })
    for row in rows {
      table.append(
        [row.instance, "\(row.kept)", "\(row.rows)", HumanReadable.count(row.buckets)]
          + [row.projection.map { HumanReadable.count($0) } ?? "none"]
          + [row.length, row.error, row.best, row.error / row.best, row.projectionError].map(scientific)
          + [HumanReadable.count(row.storedNumbers)])
    }
    return table
  }

  private static func scientific(_ value: Double) -> String { String(format: "%.1e", value) }
}
