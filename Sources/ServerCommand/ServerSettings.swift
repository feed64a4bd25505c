import Foundation

/// Options of the server from a file, the environment and the command line, each before those before it.
///
/// All become arguments, so that a value is read and checked in one place. The names are the options' own: `port = 8080` in a
/// file, `SLUICE_SERVE_PORT` in the environment. A name that is not known is an error.
struct ServerSettings {
  /// Arguments from one place.
  struct Layer: Equatable {
    /// Where they come from, for messages; nil for the command line.
    let origin: String?
    var arguments: [String]
  }

  /// Why settings cannot be used; never quotes a value, which may be a key.
  struct Failure: Error, CustomStringConvertible, Equatable {
    let description: String
  }

  /// Weakest first.
  private(set) var layers: [Layer] = []

  var arguments: [String] { layers.flatMap(\.arguments) }

  static let names = [
    "model", "host", "port", "cache", "cache-type", "cache-memory", "speculate", "parallel", "queue", "threads",
    "log-format", "log-level", "session-store", "session-redis", "session-key", "session-memory", "session-disk",
    "session-lifetime", "session-unnamed",
  ]
  /// Those that may be given several times: a stronger place replaces all of a weaker one's.
  static let repeatedNames = ["api-key", "alias"]

  static let prefix = "SLUICE_SERVE_"

  /// - Parameter read: gives the text of a file
  /// - Throws: `Failure`, and what `read` throws.
  init(commandLine: [String], environment: [String: String], read: (_ path: String) throws -> String) throws {
    let path = Self.value(of: "--config", in: commandLine) ?? environment[Self.prefix + "CONFIG"]
    if let path { layers.append(try Self.layer(of: read(path), origin: path)) }
    layers.append(try Self.layer(of: environment))
    layers.append(Layer(origin: nil, arguments: commandLine))
    for name in Self.repeatedNames {
      guard let strongest = layers.lastIndex(where: { $0.arguments.contains { Self.isOption($0, name) } }) else {
        continue
      }
      for weaker in layers[..<strongest].indices {
        layers[weaker].arguments.removeAll { Self.isOption($0, name) }
      }
    }
  }

  private static func isOption(_ argument: String, _ name: String) -> Bool {
    argument == "--\(name)" || argument.hasPrefix("--\(name)=")
  }

  private static func value(of option: String, in arguments: [String]) -> String? {
    guard let index = arguments.lastIndex(where: { $0 == option || $0.hasPrefix(option + "=") }) else { return nil }
    if arguments[index] != option { return String(arguments[index].dropFirst(option.count + 1)) }
    return arguments.indices.contains(index + 1) ? arguments[index + 1] : nil
  }

  /// Lines of `name = value`; `#` begins a comment where a line begins.
  private static func layer(of text: String, origin: String) throws(Failure) -> Layer {
    var layer = Layer(origin: origin, arguments: [])
    var seen: Set<String> = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let line = line.trimmingCharacters(in: .whitespaces)
      if line.isEmpty || line.hasPrefix("#") { continue }
      let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespaces) }
      let place = "\(origin), line \(index + 1)"
      guard parts.count == 2, !parts[1].isEmpty else {
        throw Failure(description: "\(place): a line is 'name = value'")
      }
      guard (names + repeatedNames).contains(parts[0]) else {
        let known = (names + repeatedNames).sorted().joined(separator: ", ")
        throw Failure(description: "\(place): there is no setting '\(parts[0])'; there are \(known)")
      }
      guard seen.insert(parts[0]).inserted || repeatedNames.contains(parts[0]) else {
        throw Failure(description: "\(place): '\(parts[0])' is set twice")
      }
      layer.arguments.append("--\(parts[0])=\(parts[1])")
    }
    return layer
  }

  /// Several keys or aliases in one variable stand apart by white space.
  private static func layer(of environment: [String: String]) throws(Failure) -> Layer {
    var layer = Layer(origin: "the environment", arguments: [])
    for (variable, value) in environment.sorted(by: { $0.key < $1.key }) where variable.hasPrefix(prefix) {
      let name = variable.dropFirst(prefix.count).lowercased().replacing("_", with: "-")
      if name == "config" { continue }
      if repeatedNames.contains(name) {
        layer.arguments += value.split(whereSeparator: \.isWhitespace).map { "--\(name)=\($0)" }
      } else if names.contains(name) {
        layer.arguments.append("--\(name)=\(value)")
      } else {
        throw Failure(description: "the environment sets \(variable), which is no setting")
      }
    }
    return layer
  }
}
