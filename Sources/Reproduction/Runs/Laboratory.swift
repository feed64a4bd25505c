import ModelJSON

/// Runs the commands of experiments, each once.
package struct Laboratory {
  /// What became of an experiment.
  package enum Outcome: Sendable {
    case found(Findings, [RunResult])
    /// It cannot be done with what was given.
    case needs([Experiment.Need])
    case failed(RunError)
  }

  /// Standard output of a command that ended well, and the seconds it took.
  package typealias Execution = (SluiceRun) throws(RunError) -> (output: String, seconds: Double)

  package let setting: ReproductionSetting
  private let archive: RunArchive
  private let usesKept: Bool
  private let execute: Execution

  /// - Parameters:
  ///   - usesKept: Takes results of the archive instead of measuring anew.
  ///   - execute: Runs a command.
  package init(
    setting: ReproductionSetting, archive: RunArchive, usesKept: Bool, execute: @escaping Execution
  ) {
    self.setting = setting
    self.archive = archive
    self.usesKept = usesKept
    self.execute = execute
  }

  /// Runs an experiment's commands and reads their results.
  ///
  /// - Parameter announce: Called before a command that is run, with its number and how many there are.
  package func perform(_ experiment: Experiment, announce: (SluiceRun, Int, Int) -> Void) -> Outcome {
    let missing = setting.missing(for: experiment)
    guard missing.isEmpty else { return .needs(missing) }
    let runs = experiment.runs(setting)
    var results: [RunResult] = []
    do throws(RunError) {
      for (index, run) in runs.enumerated() {
        results.append(try result(of: run) { announce(run, index + 1, runs.count) })
      }
      return .found(try experiment.read(results), results)
    } catch {
      return .failed(error)
    }
  }

  func result(of run: SluiceRun, announce: () -> Void) throws(RunError) -> RunResult {
    if usesKept, let kept = archive.result(of: run) { return kept }
    announce()
    let (output, seconds) = try execute(run)
    var lines: [JSONValue] = []
    for line in output.split(separator: "\n") {
      do throws(JSONError) { lines.append(try JSONValue(parsing: String(line))) } catch {
        throw .unreadable(run, reason: "\(error)")
      }
    }
    let result = RunResult(run: run, lines: lines, seconds: seconds)
    try archive.keep(result)
    return result
  }
}

extension Laboratory {
  /// Tokens a second that the model reads in a short prompt.
  package func readingSpeed() throws(RunError) -> Double {
    try result(of: setting.bench(["--prefill", "512", "--decode", "16"])) {}.number("prefillTokensPerSecond")
  }
}
