/// Why a recall evaluation cannot be made, in one line.
package struct RecallError: Error, Sendable, Hashable, CustomStringConvertible {
  private enum Code: Hashable {
    case badLine(path: String, line: Int, reason: String)
    case noCases(path: String)
    case tooShort(task: RecallTask, length: Int, needed: Int)
    case noQuery(linesBack: Int, length: Int)
    case tooLarge(what: String, tokens: Int, cache: String, bytes: Int, memory: UInt64)
  }

  private let code: Code

  static func badLine(_ path: String, _ line: Int, _ reason: String) -> Self {
    Self(code: .badLine(path: path, line: line, reason: reason))
  }
  static func noCases(_ path: String) -> Self { Self(code: .noCases(path: path)) }
  static func tooShort(_ task: RecallTask, length: Int, needed: Int) -> Self {
    Self(code: .tooShort(task: task, length: length, needed: needed))
  }
  static func noQuery(linesBack: Int, length: Int) -> Self {
    Self(code: .noQuery(linesBack: linesBack, length: length))
  }
  static func tooLarge(_ what: String, tokens: Int, cache: String, bytes: Int, memory: UInt64) -> Self {
    Self(code: .tooLarge(what: what, tokens: tokens, cache: cache, bytes: bytes, memory: memory))
  }

  package var description: String {
    switch code {
    case .badLine(let path, let line, let reason): "\(path), line \(line): \(reason)"
    case .noCases(let path): "\(path): there are no cases in it"
    case .tooShort(let task, let length, let needed):
      "a length of \(length) tokens is too short for \(task.rawValue), which takes at least \(needed)"
    case .noQuery(let linesBack, let length):
      "a stream of \(length) tokens ends before its first query, which asks for a line \(linesBack) lines back"
    case .tooLarge(let what, let tokens, let cache, let bytes, let memory):
      "\(what) has \(tokens) tokens, for which cache '\(cache)' takes \(bytes >> 20) MiB, but this machine has "
        + "\(memory >> 20) MiB of memory"
    }
  }
}
