import CLibrary
import ModelJSON

/// A folder with the results of runs, so that what was measured is not measured again.
///
/// A file a run, named by its words and by what ran it: another program, model file or machine makes another name. Files
/// are renamed into their place, so one is there whole or not at all.
package struct RunArchive: Sendable {
  package let folder: String
  /// What results depend on beside words.
  private let origin: String

  /// - Throws: `RunError.archive` where the folder cannot be made.
  package init(folder: String, origin: String) throws(RunError) {
    self.folder = folder
    self.origin = origin
    for path in [folder, folder + "/runs"] where mkdir(path, 0o755) != 0 && errno != EEXIST {
      throw .archive(path: path, reason: String(cString: strerror(errno)).lowercased())
    }
  }

  private func path(_ run: SluiceRun) -> String { "\(folder)/runs/\(run.key).json" }

  /// The kept result; nil where there is none, or one of another origin, or one that cannot be read.
  package func result(of run: SluiceRun) -> RunResult? {
    guard let file = fopen(path(run), "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece.prefix(count) }
    guard let object = try? JSONValue(parsing: bytes), object["origin"]?.string == origin,
      object["words"]?.array?.compactMap(\.string) == run.words, let lines = object["lines"]?.array,
      let seconds = object["seconds"]?.double
    else { return nil }
    return RunResult(run: run, lines: lines, seconds: seconds)
  }

  /// - Throws: `RunError.archive`.
  package func keep(_ result: RunResult) throws(RunError) {
    let object: JSONValue = [
      "words": .array(result.run.words.map { JSONValue($0) }), "origin": JSONValue(origin),
      "seconds": JSONValue(result.seconds), "lines": .array(result.lines),
    ]
    let path = path(result.run)
    let bytes = Array((object.text + "\n").utf8)
    guard let file = fopen(path + ".partial", "w") else {
      throw .archive(path: path, reason: String(cString: strerror(errno)).lowercased())
    }
    let written = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, written == bytes.count, rename(path + ".partial", path) == 0 else {
      throw .archive(path: path, reason: String(cString: strerror(errno)).lowercased())
    }
  }
}
