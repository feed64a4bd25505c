import Foundation
import KVCaches

extension PlanResolver {
  /// Reads the files that a specification names: who writes the command line may read them anyway.
  static let files = PlanResolver { path throws(KVCacheError) in
    try HeadMask(text: try text(of: path), name: path)
  }

  /// The largest file that is read.
  private static let largestFile = 1 << 20

  private static func text(of path: String) throws(KVCacheError) -> String {
    guard let file = fopen(path, "rb") else { throw unreadable(path) }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: largestFile + 1)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0 else { throw unreadable(path) }
    guard count <= largestFile else { throw .badSpecification(path, "is too large for a table of heads") }
    guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
      throw .badSpecification(path, "is no text")
    }
    return text
  }

  private static func unreadable(_ path: String) -> KVCacheError {
    .badSpecification(path, "cannot be read: \(String(cString: strerror(errno)))")
  }
}
