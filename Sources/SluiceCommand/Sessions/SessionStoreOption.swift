import ArgumentParser
import Foundation
import SessionStore

/// Where sessions are stored.
struct SessionStoreOption: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The file of stored sessions; SLUICE_SESSIONS, or sluice/sessions.sluice in the user's folder for state, without it.",
      valueName: "file"))
  var sessionStore: String?
  @Option(
    name: .long,
    help: ArgumentHelp(
      "A file of 32 bytes with which sessions are sealed where they are stored (AES-GCM); SLUICE_SESSION_KEY names it without it.",
      valueName: "file"))
  var sessionKey: String?

  /// Opens the store with its key, in a folder that is made where it is not there.
  ///
  /// - Throws: an error of one line.
  func open(_ options: SessionStore.Options = SessionStore.Options()) throws -> SessionStore {
    let environment = ProcessInfo.processInfo.environment
    let path = sessionStore ?? Self.defaultPath(environment: environment)
    var options = options
    options.key = try Self.key(sessionKey, environment: environment)
    let folder = (path as NSString).deletingLastPathComponent
    if !folder.isEmpty, !FileManager.default.fileExists(atPath: folder) {
      do {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      } catch {
        throw CommandError("\(folder): the folder for sessions cannot be made")
      }
    }
    let store = try SessionStore(path: path, options: options)
    if let notice = store.notice { StandardError.warn([notice]) }
    return store
  }

  static func defaultPath(environment: [String: String]) -> String {
    if let path = value("SLUICE_SESSIONS", in: environment) { return path }
    let state = value("XDG_STATE_HOME", in: environment) ?? (environment["HOME"] ?? "") + "/.local/state"
    return state + "/sluice/sessions.sluice"
  }

  /// The key in the file that an option names, or the environment; nil where neither does.
  ///
  /// - Throws: an error of one line.
  static func key(_ path: String?, environment: [String: String]) throws -> SessionKey? {
    try (path ?? value("SLUICE_SESSION_KEY", in: environment)).map { try SessionKey(contentsOf: $0) }
  }

  private static func value(_ name: String, in environment: [String: String]) -> String? {
    environment[name].flatMap { $0.isEmpty ? nil : $0 }
  }
}
