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

  /// Opens the store, in a folder that is made where it is not there.
  ///
  /// - Throws: an error of one line.
  func open(_ options: SessionStore.Options = SessionStore.Options()) throws -> SessionStore {
    let path = sessionStore ?? Self.defaultPath(environment: ProcessInfo.processInfo.environment)
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
    func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    if let path = value("SLUICE_SESSIONS") { return path }
    return (value("XDG_STATE_HOME") ?? (environment["HOME"] ?? "") + "/.local/state") + "/sluice/sessions.sluice"
  }
}
