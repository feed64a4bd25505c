import Foundation

/// Text that arrives in pieces: a file, standard input, or a string; it need not have an end.
struct TextSource {
  private let handle: FileHandle?
  private let text: String?
  /// Bytes in all where they are known before.
  let byteCount: Int?

  /// Pieces of at most this many bytes are read at once.
  static let pieceSize = 1 << 16
  private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

  init(text: String) {
    self.text = text
    handle = nil
    byteCount = text.utf8.count
  }

  /// A file, or standard input for `-`.
  ///
  /// - Throws: `CommandError` where it cannot be read.
  init(path: String) throws(CommandError) {
    text = nil
    guard path != "-" else {
      handle = .standardInput
      byteCount = nil
      return
    }
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
      throw CommandError("\(path): no such file")
    }
    guard !isDirectory.boolValue, let handle = FileHandle(forReadingAtPath: path) else {
      throw CommandError("\(path): cannot be read\(isDirectory.boolValue ? ", it is a directory" : "")")
    }
    self.handle = handle
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    let isFile = attributes?[.type] as? FileAttributeType == .typeRegular
    byteCount = isFile ? (attributes?[.size] as? Int) : nil
  }

  /// Reads to the end; `body` returns false to stop.
  func forEachPiece(_ body: ([UInt8]) throws -> Bool) throws {
    if let text {
      _ = try body(Array(text.utf8))
      return
    }
    guard let handle else { return }
    // Held back until it is clear whether a byte-order mark stands there.
    var start: [UInt8]? = []
    var piece = [UInt8](repeating: 0, count: Self.pieceSize)
    while true {
      let count = read(handle.fileDescriptor, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw CommandError("the input cannot be read: \(String(cString: strerror(errno)).lowercased())")
      }
      var bytes = Array(piece[..<count])
      if let held = start {
        bytes = held + bytes
        if count > 0, Self.byteOrderMark.starts(with: bytes) {
          start = bytes
          continue
        }
        if bytes.starts(with: Self.byteOrderMark) { bytes.removeFirst(3) }
        start = nil
      }
      guard try bytes.isEmpty || body(bytes), count > 0 else { return }
    }
  }
}
