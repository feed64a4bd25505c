import Foundation
import Logging
import ModelJSON

/// Writes each event as one line: for people, as logfmt, or as JSON.
struct LineLogHandler: LogHandler {
  enum Format: String, CaseIterable, Sendable {
    case text, logfmt, json
  }

  let format: Format
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]
  private let write: @Sendable (String) -> Void

  init(_ format: Format, level: Logger.Level, write: @escaping @Sendable (String) -> Void) {
    (self.format, logLevel, self.write) = (format, level, write)
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
      .map { (name: $0.key, value: "\($0.value)") }
    write(line(event.level, "\(event.message)", fields, time: .now))
  }

  /// The event on one line, without its end.
  func line(_ level: Logger.Level, _ message: String, _ fields: [(name: String, value: String)], time: Date) -> String {
    switch format {
    case .text:
      let marks: Set<Logger.Level> = [.warning, .error, .critical]
      return "sluice: " + (marks.contains(level) ? "\(level): " : "") + Self.printable(message)
        + fields.map { " \($0.name)=\(Self.quoted($0.value))" }.joined()
    case .logfmt:
      let all = [("time", Self.text(of: time)), ("level", "\(level)"), ("message", message)] + fields
      return all.map { "\($0.0)=\(Self.quoted($0.1))" }.joined(separator: " ")
    case .json:
      var members = JSONObject()
      members["time"] = .string(Self.text(of: time))
      members["level"] = .string("\(level)")
      members["message"] = .string(message)
      for (name, value) in fields { members[name] = .string(value) }
      return JSONValue.object(members).text
    }
  }

  private static func text(of time: Date) -> String {
    time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
  }

  /// A value as it stands, or as a JSON string where it would not stay one word.
  private static func quoted(_ value: String) -> String {
    let isPlain = !value.isEmpty && value.utf8.allSatisfy { (0x21..<0x7f).contains($0) && $0 != 0x22 && $0 != 0x3d }
    return isPlain ? value : JSONValue.string(value).text
  }

  /// Line breaks in a message would begin an event of their own.
  private static func printable(_ text: String) -> String { text.replacing("\n", with: " ") }
}
