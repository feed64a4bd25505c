import Foundation

/// Texts that are named one by one or by their folder.
enum TextFolder {
  /// Files as they are named, and of folders all that end in `.txt`, by name.
  ///
  /// - Throws: `CommandError` where there is no such file, or a folder has no text.
  static func files(_ paths: [String]) throws(CommandError) -> [String] {
    var files: [String] = []
    for path in paths {
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
        throw CommandError("\(path): there is no such file")
      }
      guard isFolder.boolValue else {
        files.append(path)
        continue
      }
      let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
      let texts = names.filter { $0.hasSuffix(".txt") }.sorted()
      guard !texts.isEmpty else { throw CommandError("\(path): there is no .txt file in this folder") }
      files += texts.map { path.hasSuffix("/") ? path + $0 : path + "/" + $0 }
    }
    return files
  }
}
