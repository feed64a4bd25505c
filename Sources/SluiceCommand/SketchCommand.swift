import ArgumentParser
import Evaluation
import Foundation
import Kernels
import ModelJSON

struct SketchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sketch",
    abstract: "What one-pass sketches of attention take and give, on made-up heads; no model is read.",
    discussion: """
      growth: streams grow under a sketch of one size, chosen for the longest of them (arXiv 2311.14652). stored: its numbers \
      over those of Q, K and V. length: of the first column of the output; an answer of zeros is so far off. before: the error of \
      all outputs before recovery, and what it may be; after: of the recovered entries, and what it may be; best: the smallest \
      error of as many entries. Root mean squares over seeds.
      even: keys fill their space evenly and a fixed number of queries sees values that do not cancel; once more with keys and \
      values projected. independent: the same with independent keys. dense: all queries see such values.
      Exponents say how the errors go with the tokens.

      size: features and numbers of such a sketch by dimensions and by the size of logits, for a relative error of \
      weights of at most one millionth, and from how many tokens on they are fewer than those of Q, K and V.

      degree: how well polynomials of some degrees stand for e^x up to a bound on |x|, the largest relative error of \
      three kinds each; and the largest error of attention over random keys with the last of them, beside its proven bound.
      """)

  enum Experiment: String, CaseIterable, ExpressibleByArgument { case growth, size, degree }

  @Option(name: .long, help: "The experiment to run; all without it.")
  var experiment: Experiment?
  @OptionGroup var growth: SketchGrowthOptions
  @Flag(name: .long, help: "Print one JSON object per row, a line each.")
  var json = false
  @Option(name: .long, help: ArgumentHelp("Draw the experiment.", valueName: "file.svg"))
  var plot: String?

  func validate() throws {
    if plot != nil, experiment == nil {
      throw ValidationError("--plot draws one experiment, so say which with --experiment growth, size or degree")
    }
    if let experiment, experiment != .growth, let name = growth.firstGiven {
      throw ValidationError("\(name) means nothing to --experiment \(experiment.rawValue)")
    }
  }

  func run() throws {
    if let plot { try OutputFile.check(plot) }
    if runs(.growth) {
      let rows = try measureGrowth()
      try draw { SketchGrowth.plot(rows) }
    }
    if runs(.size) {
      let rows = SketchSizes.rows()
      write(rows.map(\.json), SketchTables.table(rows))
      try draw { SketchSizes.plot(rows) }
    }
    if runs(.degree) {
      let rows = PolynomialDegrees.rows()
      write(rows.map(\.json), SketchTables.table(rows))
      try draw { PolynomialDegrees.plot(rows) }
    }
  }

  private func runs(_ experiment: Experiment) -> Bool { self.experiment == nil || self.experiment == experiment }

  private func draw(_ figure: () -> Plot) throws {
    if let plot { try OutputFile.write(figure().svg(), to: plot) }
  }

  /// An empty line stands before every table but the first.
  private func write(_ objects: [JSONValue], _ table: TextTable, isFirst: Bool = false) {
    if json {
      for object in objects { StandardOutput.write(object.text + "\n") }
    } else {
      StandardOutput.write((experiment == nil && !isFirst ? "\n" : "") + table.text)
    }
  }

  private func measureGrowth() throws -> [SketchGrowth.Row] {
    let growth = try growth.experiment()
    var progress = ProgressLine.standardError()
    var rows: [SketchGrowth.Row] = []
    growth.measure(try WorkerTeam(threads: self.growth.threads)) { row in
      rows.append(row)
      if json { StandardOutput.write(row.json.text + "\n") }
      progress.update(StreamStatus(label: row.name, tokens: row.tokens))
    }
    progress.clear()
    let exponents = SketchGrowth.exponents(rows)
    if json {
      for exponent in exponents { StandardOutput.write(exponent.json.text + "\n") }
    } else {
      StandardOutput.write(SketchTables.text(growth.size))
      StandardOutput.write(SketchTables.table(rows).text)
      if !exponents.isEmpty { StandardOutput.write("\n" + SketchTables.table(exponents).text) }
    }
    return rows
  }
}
