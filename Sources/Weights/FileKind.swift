import CLibrary

/// What a path leads to, links followed.
enum FileKind {
  case file
  case directory
  case other

  /// Nil where nothing is there or it may not be looked at.
  init?(of path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    switch status.st_mode & S_IFMT {
    case S_IFREG: self = .file
    case S_IFDIR: self = .directory
    default: self = .other
    }
  }
}
