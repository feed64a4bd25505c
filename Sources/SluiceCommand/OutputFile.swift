import Foundation

/// Files that a command writes.
enum OutputFile {
  /// Writes a file whole or not at all: beside its place first, then renamed; what was there stays until then.
  ///
  /// - Throws: `CommandError` where there is no room, no right, or no such folder.
  static func write(_ text: String, to path: String) throws(CommandError) { try write(Array(text.utf8), to: path) }

  /// Writes bytes, as `write(_:to:)` does text.
  static func write(_ bytes: [UInt8], to path: String) throws(CommandError) {
    let isSpecial = isSpecial(path)
    let place = isSpecial ? path : path + ".partial"
    let descriptor = open(place, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { throw failure(path) }
    var failed: CommandError?
    var bytes = bytes[...]
    while failed == nil, !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count > 0 { bytes = bytes.dropFirst(count) } else if errno != EINTR { failed = failure(path) }
    }
    if close(descriptor) != 0, failed == nil { failed = failure(path) }
    if failed == nil, !isSpecial, rename(place, path) != 0 { failed = failure(path) }
    if let failed {
      if !isSpecial { unlink(place) }
      throw failed
    }
  }

  /// Finds out early whether a file can be made there, before the work whose result it is for.
  ///
  /// - Throws: `CommandError` where there is no right or no such folder.
  static func check(_ path: String) throws(CommandError) {
    let folder = FilePath.folder(of: path)
    var information = stat()
    if stat(path, &information) == 0, information.st_mode & S_IFMT == S_IFDIR {
      errno = EISDIR
      throw failure(path)
    }
    guard access(isSpecial(path) ? path : folder, W_OK) == 0 else { throw failure(path) }
  }

  /// Whether something other than an ordinary file stands there, such as a device, which cannot be replaced.
  private static func isSpecial(_ path: String) -> Bool {
    var information = stat()
    return stat(path, &information) == 0 && information.st_mode & S_IFMT != S_IFREG
  }

  private static func failure(_ path: String) -> CommandError {
    CommandError("\(path): cannot be written: \(String(cString: strerror(errno)).lowercased())")
  }
}
