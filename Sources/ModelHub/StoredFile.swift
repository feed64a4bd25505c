import CLibrary

/// Files and folders on this machine, by the C library. Errors name the path and the system's reason.
enum StoredFile {
  enum Kind {
    case file(bytes: Int)
    case folder
    case other
  }

  /// What stands at a path, links followed; nil for nothing.
  static func kind(_ path: String) -> Kind? {
    var information = stat()
    guard stat(path, &information) == 0 else { return nil }
    switch information.st_mode & S_IFMT {
    case S_IFREG: return .file(bytes: Int(information.st_size))
    case S_IFDIR: return .folder
    default: return .other
    }
  }

  /// The size of an ordinary file; nil where there is none.
  static func size(_ path: String) -> Int? {
    if case .file(let bytes) = kind(path) { bytes } else { nil }
  }

  static func isFolder(_ path: String) -> Bool {
    if case .folder = kind(path) { true } else { false }
  }

  /// The names in a folder, sorted; none where it cannot be read.
  static func names(in folder: String) -> [String] {
    guard let stream = opendir(folder) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 1) { String(validatingCString: $0) }
      }
      if let name, name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Makes a folder and those it lies in.
  static func makeFolder(_ path: String) throws(HubError) {
    if isFolder(path) { return }
    if let parent = RepositoryPath.folder(path), !parent.isEmpty { try makeFolder(parent) }
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw failure(path, "cannot be made") }
    guard isFolder(path) else { throw HubError(.file(path, reason: "is no folder")) }
  }

  static func contents(of path: String, limit: Int) throws(HubError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failure(path, "cannot be read") }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure(path, "cannot be read") }
      if count == 0 { return bytes }
      guard bytes.count + count <= limit else {
        throw HubError(.file(path, reason: "has more than \(limit) bytes"))
      }
      bytes += buffer[..<count]
    }
  }

  /// Writes a file whole or not at all: beside its place, then renamed.
  static func replace(_ path: String, with bytes: [UInt8]) throws(HubError) {
    let place = path + ".partial"
    let file = try PartialFile(place)
    try file.truncate()
    try bytes.withUnsafeBytes { bytes in Result { () throws(HubError) in try file.append(bytes) } }.get()
    try file.finish()
    try move(place, to: path)
  }

  static func move(_ path: String, to place: String) throws(HubError) {
    guard rename(path, place) == 0 else { throw failure(place, "cannot be written") }
  }

  static func remove(_ path: String) throws(HubError) {
    guard unlink(path) == 0 || errno == ENOENT else { throw failure(path, "cannot be removed") }
  }

  /// Removes a folder with all it holds; of links only the link.
  static func removeTree(_ path: String) throws(HubError) {
    var information = stat()
    guard lstat(path, &information) == 0 else { return }
    guard information.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
    for name in names(in: path) { try removeTree(path + "/" + name) }
    guard rmdir(path) == 0 || errno == ENOENT else { throw failure(path, "cannot be removed") }
  }

  /// Removes a folder that holds nothing; returns false where it holds something or is none.
  static func removeEmptyFolder(_ path: String) -> Bool { rmdir(path) == 0 }

  /// Bytes that the disk of a folder has free for this user; nil where that cannot be told.
  static func freeBytes(_ folder: String) -> Int? {
    var information = statvfs()
    guard statvfs(folder, &information) == 0 else { return nil }
    let (bytes, overflow) = Int(clamping: information.f_bavail).multipliedReportingOverflow(
      by: Int(clamping: information.f_frsize))
    return overflow ? nil : bytes
  }

  /// The system's last error as ours.
  static func failure(_ path: String, _ what: String) -> HubError {
    HubError(.file(path, reason: what + ": " + String(cString: strerror(errno)).lowercased()))
  }
}
