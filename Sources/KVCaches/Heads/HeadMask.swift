#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// How much each KV head of a model needs the whole text, read from a file.
///
/// A line a layer, a number a KV head, separated by tabs, spaces or commas, as DuoAttention's `full_attention_heads.tsv` has
/// them; the heads with the highest numbers keep everything.
struct HeadMask: Sendable {
  /// `[layer][KV head]`
  let needs: [[Double]]

  /// The largest file that is read.
  private static let largestFile = 1 << 20

  /// - Throws: `KVCacheError` that names the line where the file is no such table.
  init(path: String) throws(KVCacheError) {
    self = try HeadMask(text: try Self.read(path), path: path)
  }

  /// - Parameter path: for messages.
  init(text: String, path: String) throws(KVCacheError) {
    var needs: [[Double]] = []
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let fields = line.split { $0 == "\t" || $0 == " " || $0 == "," }
      guard !fields.isEmpty else { continue }
      var row: [Double] = []
      for field in fields {
        guard let number = Double(field), number.isFinite else {
          throw .badSpecification(path, "line \(index + 1) has '\(field.prefix(20))' where a number should stand")
        }
        row.append(number)
      }
      if let first = needs.first, first.count != row.count {
        throw .badSpecification(
          path, "line \(index + 1) has \(row.count) heads, the ones before it have \(first.count)")
      }
      needs.append(row)
    }
    guard !needs.isEmpty else { throw .badSpecification(path, "holds no numbers") }
    self.needs = needs
  }

  /// The heads that keep everything, and the others, both in ascending order; heads count through all layers.
  ///
  /// - Parameter share: the share of the others, of all heads, rounded to whole heads; where numbers are equal, heads of
  ///   earlier layers keep everything.
  func heads(sparing share: Double) -> (full: [Int], others: [Int]) {
    let all = Array(needs.joined())
    let spared = min(max(Int((share * Double(all.count)).rounded()), 0), all.count)
    let order = all.indices.sorted { all[$0] == all[$1] ? $0 < $1 : all[$0] > all[$1] }
    return (order.dropLast(spared).sorted(), order.suffix(spared).sorted())
  }

  private static func read(_ path: String) throws(KVCacheError) -> String {
    guard let file = fopen(path, "rb") else {
      throw .badSpecification(path, "cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: largestFile + 1)
    let count = fread(&bytes, 1, bytes.count, file)
    guard ferror(file) == 0 else {
      throw .badSpecification(path, "cannot be read: \(String(cString: strerror(errno)))")
    }
    guard count <= largestFile else { throw .badSpecification(path, "is too large for a table of heads") }
    guard let text = String(validating: bytes[..<count], as: UTF8.self) else {
      throw .badSpecification(path, "is no text")
    }
    return text
  }
}
