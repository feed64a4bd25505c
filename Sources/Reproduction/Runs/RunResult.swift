package import ModelJSON

/// What a run printed.
package struct RunResult: Sendable {
  package let run: SluiceRun
  /// The objects of standard output, a line each.
  package let lines: [JSONValue]
  package let seconds: Double

  package init(run: SluiceRun, lines: [JSONValue], seconds: Double) {
    self.run = run
    self.lines = lines
    self.seconds = seconds
  }

  /// A number of a line.
  ///
  /// - Throws: `RunError.missing` where the line or the number is not there.
  func number(_ key: String, line: Int = 0) throws(RunError) -> Double {
    guard lines.indices.contains(line), let value = lines[line][key]?.double else {
      throw .missing(key, line: line, run)
    }
    return value
  }

  /// A number of each line.
  func numbers(_ key: String) throws(RunError) -> [Double] {
    var values: [Double] = []
    for line in lines.indices { values.append(try number(key, line: line)) }
    return values
  }

  /// The shares of exact answers and right digits of a line of `evaluate recall`.
  func recall(line: Int) throws(RunError) -> RecallShare {
    RecallShare(
      exact: try number("exactMatch", line: line), digits: try number("digitAccuracy", line: line),
      cases: Int(try number("cases", line: line)))
  }
}

package enum RunError: Error, Sendable, CustomStringConvertible {
  /// A result has no such number.
  case missing(_ key: String, line: Int, SluiceRun)
  /// The command ended with an error.
  case failed(SluiceRun, message: String)
  /// The command printed something else than JSON.
  case unreadable(SluiceRun, reason: String)
  /// A folder or file of results.
  case archive(path: String, reason: String)

  package var description: String {
    switch self {
    case .missing(let key, let line, let run): "line \(line + 1) of '\(run.text)' has no number \"\(key)\""
    case .failed(let run, let message): "'\(run.text)' failed: \(message)"
    case .unreadable(let run, let reason): "'\(run.text)' printed what is not JSON: \(reason)"
    case .archive(let path, let reason): "\(path): \(reason)"
    }
  }
}
