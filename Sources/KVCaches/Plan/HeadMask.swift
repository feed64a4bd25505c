/// How much each KV head of a model needs the whole text: the heads with the highest numbers keep everything.
public struct HeadMask: Sendable, Hashable {
  /// `[layer][KV head]`
  public let needs: [[Double]]

  /// Reads a table: a line a layer, a number a KV head, separated by tabs, spaces or commas, as DuoAttention's
  /// `full_attention_heads.tsv` has them.
  ///
  /// - Parameter name: of the table, for messages.
  /// - Throws: `KVCacheError` that names the line where the text is no such table, and quotes nothing of it: who named a
  ///   file need not be allowed to read it.
  public init(text: String, name: String) throws(KVCacheError) {
    var needs: [[Double]] = []
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      let fields = line.split { $0 == "\t" || $0 == " " || $0 == "," }
      guard !fields.isEmpty else { continue }
      var row: [Double] = []
      for field in fields {
        guard let number = Double(field), number.isFinite else {
          throw .badSpecification(name, "line \(index + 1), head \(row.count + 1): no finite number")
        }
        row.append(number)
      }
      if let first = needs.first, first.count != row.count {
        throw .badSpecification(
          name, "line \(index + 1) has \(row.count) heads, the ones before it have \(first.count)")
      }
      needs.append(row)
    }
    guard !needs.isEmpty else { throw .badSpecification(name, "holds no numbers") }
    self.needs = needs
  }

  /// The heads that keep everything, and the others, both in ascending order; heads count through all layers.
  ///
  /// - Parameter share: the share of the others, of all heads, rounded to whole heads; where numbers are equal, heads of
  ///   earlier layers keep everything.
  func heads(sparing share: Double) -> (full: [Int], others: [Int]) {
    let all = Array(needs.joined())
    let spared = min(max(DecimalShare.of(all.count, share: share, .toNearestOrAwayFromZero), 0), all.count)
    let order = all.indices.sorted { all[$0] == all[$1] ? $0 < $1 : all[$0] > all[$1] }
    return (order.dropLast(spared).sorted(), order.suffix(spared).sorted())
  }
}
