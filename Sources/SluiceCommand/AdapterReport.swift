import ModelJSON
import Models
import Weights

/// What `inspect` says of one adapter.
struct AdapterReport {
  let adapter: LowRankAdapter

  private var ranks: [Int] { Set(adapter.modules.map(\.rank)).sorted() }
  private var scales: [Double] { Set(adapter.modules.map { adapter.scale(of: $0) }).sorted() }

  /// Kinds of modules in the order of the file.
  private var kinds: [String] {
    var seen: Set<String> = []
    return adapter.modules.map(\.kind).filter { seen.insert($0).inserted }
  }

  var text: String {
    func span<Value>(_ name: String, _ values: [Value], _ text: (Value) -> String) -> String {
      guard let first = values.first, let last = values.last else { return "no \(name)" }
      return values.count == 1 ? "\(name) \(text(first))" : "\(name)s \(text(first)) to \(text(last))"
    }
    let numbers = [
      span("rank", ranks) { "\($0)" },
      span("scale", scales) { HumanReadable.decimal($0, places: $0 == $0.rounded() ? 0 : 3) },
    ]
    return ([adapter.file.path] + numbers + ["\(adapter.modules.count) matrices: " + kinds.joined(separator: " ")])
      .joined(separator: ", ")
  }

  var json: JSONValue {
    [
      "path": JSONValue(adapter.file.path), "ranks": .array(ranks.map { JSONValue($0) }),
      "scales": .array(scales.map { .number($0) }), "matrices": JSONValue(adapter.modules.count),
      "modules": .array(kinds.map { JSONValue($0) }),
    ]
  }
}
