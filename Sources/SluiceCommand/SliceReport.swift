import Evaluation
import ModelJSON
import Models

/// A model cut at its attention, for people and as JSON.
struct SliceReport {
  let slices: ModelSlices

  /// Numbers go between machines as float32.
  private static let bytes = MemoryLayout<Float>.size

  /// Slices that follow each other and are equal.
  private var runs: [Range<Int>] {
    let all = slices.slices
    let starts = all.indices.filter { $0 == 0 || all[$0] != all[$0 - 1] }
    return zip(starts, starts.dropFirst() + [all.count]).map { $0..<$1 }
  }

  /// A table of bytes a token, then what runs when.
  var text: String {
    var table = TextTable([.init("slices")] + ["queries", "keys, values", "kept"].map { .init($0, .trailing) })
    var operations = ""
    for run in runs {
      let slice = slices.slices[run.lowerBound]
      let name = run.count == 1 ? "\(run.lowerBound)" : "\(run.lowerBound) to \(run.upperBound - 1)"
      let attends = run.lowerBound < slices.layers.count
      table.append(
        [name]
          + [slice.queryWidth, slice.storedWidth, slice.contextWidth].map {
            attends ? HumanReadable.count($0 * Self.bytes) : ""
          })
      operations += "\nslice \(name)\n"
      for (what, names) in [
        (attends ? "until queries are sent" : "all", slice.untilQueries),
        ("until keys and values are sent", slice.untilStored), ("while attention runs", slice.meanwhile),
        ("kept", slice.context),
      ] where !names.isEmpty {
        operations += "  \(what): \(names.joined(separator: ", "))\n"
      }
    }
    return "bytes a token in float32; each slice but the first begins with an attention's result\n\n" + table.text
      + operations
  }

  var json: JSONValue {
    let all = slices.slices.enumerated().map { index, slice -> JSONValue in
      let names = { (names: [String]) in JSONValue.array(names.map { JSONValue($0) }) }
      return [
        "layer": index < slices.layers.count ? JSONValue(slices.layers[index]) : .null,
        "untilQueries": names(slice.untilQueries), "untilStored": names(slice.untilStored),
        "meanwhile": names(slice.meanwhile), "context": names(slice.context),
        "queryBytes": JSONValue(slice.queryWidth * Self.bytes),
        "storedBytes": JSONValue(slice.storedWidth * Self.bytes),
        "contextBytes": JSONValue(slice.contextWidth * Self.bytes),
      ]
    }
    return ["slices": .array(all)]
  }
}
