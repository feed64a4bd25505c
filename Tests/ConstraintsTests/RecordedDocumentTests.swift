import Foundation
import ModelJSON
import Testing

@testable import Constraints

/// What Python's jsonschema says of thousands of documents (`Scripts/record-schemas.py`).
@Suite struct RecordedDocumentTests {
  static func lines() throws -> [JSONValue] {
    let path = try #require(Bundle.module.path(forResource: "documents", ofType: "jsonl", inDirectory: "Golden"))
    return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      try JSONValue(parsing: String($0))
    }
  }

  @Test func `the automaton accepts what the validator accepts, and nothing else`() throws {
    var (valid, invalid) = (0, 0)
    for line in try Self.lines() {
      let schema = try #require(line["schema"])
      let constraint: Constraint
      do {
        constraint = try Constraint(documentOf: schema)
      } catch {
        // Contradictions of the random schemas.
        #expect(line["valid"]?.array?.isEmpty == true, "\(error): \(schema.text)")
        continue
      }
      for document in line["valid"]?.array ?? [] {
        #expect(constraint.accepts(document.string ?? ""), "refused: \(document.string ?? "") by \(schema.text)")
        valid += 1
      }
      for document in line["invalid"]?.array ?? [] {
        #expect(!constraint.accepts(document.string ?? ""), "accepted: \(document.string ?? "") by \(schema.text)")
        invalid += 1
      }
    }
    #expect(valid > 2000 && invalid > 2000)
  }
}
