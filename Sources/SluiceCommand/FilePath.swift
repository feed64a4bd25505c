/// The parts of a path, as bytes between slashes.
///
/// Foundation's own on Linux ends the process for some names of one letter (swift-corelibs-foundation, issue 175).
enum FilePath {
  /// What follows the last slash.
  static func name(of path: String) -> String {
    path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
  }

  /// The folder that holds the file; `.` where the path names none.
  static func folder(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }
}
