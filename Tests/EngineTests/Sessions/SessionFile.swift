import Foundation

@testable import Engine
@testable import SessionStore

/// The file of a store, which is opened anew as by another process.
final class SessionFile: Sendable {
  private let folder: String

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "sluice-sessions-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  var path: String { folder + "/sessions.sluice" }

  /// The store as a process finds it that was just started.
  func store(memoryBytes: Int = 1 << 28) throws -> SessionStore {
    var options = SessionStore.Options()
    (options.memoryBytes, options.survivesPowerLoss) = (memoryBytes, false)
    return try SessionStore(path: path, options: options)
  }

  func checkpointer(
    _ name: String, _ loaded: LanguageModel.Loaded, store: SessionStore? = nil
  ) throws -> SessionCheckpointer {
    SessionCheckpointer(try store ?? self.store(), ItemKey(name: name), model: loaded.fingerprint)
  }

  /// Spoils the newest block of slots.
  func spoilNewestBlock() throws {
    try SQLiteDatabase(path: path).execute(
      "UPDATE pages SET content = zeroblob(length(content)) WHERE item = (SELECT MIN(item) FROM pages)")
  }

  /// Spoils all that is on disk but manifests and the records of sessions, which are the first section of each.
  func spoilPages() throws {
    try SQLiteDatabase(path: path).execute(
      "UPDATE pages SET content = zeroblob(length(content)) WHERE item < 0 OR place >= \(Int64(1) << 32)")
  }
}
