import CLibrary

/// The key with which sessions are sealed where they are stored: 32 bytes, best random ones.
///
/// Whoever has lost it has lost the sessions.
public struct SessionKey: Sendable, CustomStringConvertible, CustomReflectable {
  static let byteCount = 32
  let bytes: [UInt8]

  /// - Throws: an error of one line where these are not 32 bytes.
  public init(_ bytes: [UInt8]) throws {
    guard bytes.count == Self.byteCount else { throw SessionKeyError.wrongLength("it", bytes.count) }
    self.bytes = bytes
  }

  /// Reads a key from a file that holds nothing else.
  ///
  /// - Throws: an error of one line where it cannot be read or is of another length.
  public init(contentsOf path: String) throws {
    guard let file = fopen(path, "rb") else {
      throw SessionKeyError.unreadable(path, String(cString: strerror(errno)))
    }
    defer { fclose(file) }
    // One byte more tells that there are too many.
    var buffer = [UInt8](repeating: 0, count: Self.byteCount + 1)
    let count = fread(&buffer, 1, buffer.count, file)
    guard count == Self.byteCount else { throw SessionKeyError.wrongLength(path, count) }
    bytes = Array(buffer.prefix(count))
  }

  /// Nothing of the key, which is not to stand in a log.
  public var description: String { "a session key" }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// Why sessions cannot be sealed.
enum SessionKeyError: Error, Sendable, Hashable, CustomStringConvertible {
  case unreadable(String, String)
  case wrongLength(String, Int)
  /// The program was built without the trait.
  case notBuilt

  var description: String {
    switch self {
    case .unreadable(let path, let reason): "\(path): the session key cannot be read: \(reason)"
    case .wrongLength(let what, let count):
      "\(what): a session key has \(SessionKey.byteCount) bytes, this one "
        + (count > SessionKey.byteCount ? "more" : "\(count)") + "; 'head -c 32 /dev/urandom' makes one"
    case .notBuilt: "this program was built without sealing; build it with 'swift build --traits Sealing'"
    }
  }
}
