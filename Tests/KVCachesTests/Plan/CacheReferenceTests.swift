import Foundation
import Testing

@testable import KVCaches

/// docs/caches.md, against what is there.
@Suite("The reference of caches")
struct CacheReferenceTests {
  private let text: String

  init() throws {
    let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../..").standardized
    text = try String(contentsOf: root.appending(path: "docs/caches.md"), encoding: .utf8)
  }

  /// The rows of the table under a heading, each cell apart.
  private func rows(of heading: String) -> [[String]] {
    let section = text.components(separatedBy: "\n## \(heading)\n").last?.components(separatedBy: "\n## ").first ?? ""
    return section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { row in
      row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
    }
  }

  /// What stands in backticks.
  private func names(_ cell: String) -> [String] {
    cell.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map {
      String($0.element)
    }
  }

  @Test("every preset and every stage has its row, and no other")
  func everyForm() {
    #expect(Set(rows(of: "Presets").flatMap { names($0[0]) }) == Set(Preset.all.map(\.form)))
    let stages = StageRegistry.all.flatMap { stage in
      stage.name == "window" ? ["window:SIZE", "window:SIZE/PERIOD"] : [stage.form]
    }
    #expect(Set(rows(of: "Stages").flatMap { names($0[0]) }) == Set(stages))
  }

  @Test("every option is said of all that take it, and of nothing else")
  func everyOption() {
    var said: [String: Set<String>] = [:]
    for row in rows(of: "Options") {
      for option in names(row[0]) { said[option, default: []].formUnion(names(row[1])) }
    }
    var taken: [String: Set<String>] = [:]
    for (name, options) in Preset.all.map({ ($0.name, $0.options) })
      + StageRegistry.all.map({ ($0.name, $0.options) })
    {
      for option in options { taken[option, default: []].insert(name) }
    }
    for option in Set(said.keys).union(taken.keys).sorted() {
      #expect(said[option] == taken[option], "\(option)")
    }
  }

  @Test("the examples are caches")
  func examples() throws {
    let block = text.components(separatedBy: "```")[1]
    for specification in block.split(separator: "\n") { _ = try KVCache.Plan(String(specification)) }
  }
}
