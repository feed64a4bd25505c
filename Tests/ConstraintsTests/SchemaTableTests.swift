import ModelJSON
import Testing

@testable import Constraints

/// Schemas with documents that they accept and reject, byte by byte.
@Suite struct SchemaTableTests {
  static let cases = SchemaCase.scalars + SchemaCase.strings + SchemaCase.containers + SchemaCase.combinations

  @Test(arguments: cases) func `a schema accepts and rejects`(example: SchemaCase) throws {
    let constraint = try Constraint(documentOf: JSONValue(parsing: example.schema))
    for text in example.accepted { #expect(constraint.accepts(text), "refused: \(text.prefix(200))") }
    for text in example.rejected { #expect(!constraint.accepts(text), "accepted: \(text.prefix(200))") }
  }

  @Test func `the table is no sample`() { #expect(Self.cases.count >= 120) }

  /// All integers around the bounds, for all small bounds.
  @Test func `bounds of integers are exact`() throws {
    for low in stride(from: -25, through: 25, by: 4) {
      for high in stride(from: low, through: 131, by: 13) {
        for multiple in [1, 3, 10] {
          let schema: JSONValue = [
            "type": "integer", "minimum": JSONValue(low), "maximum": JSONValue(high), "multipleOf": JSONValue(multiple),
          ]
          let allowed = (low...high).filter { $0 % multiple == 0 }
          guard !allowed.isEmpty, let constraint = try? Constraint(documentOf: schema) else {
            #expect(allowed.isEmpty, "\(schema.text)")
            continue
          }
          for number in -140...1400 where number < 140 || number % 9 == 0 {
            #expect(constraint.accepts("\(number)") == allowed.contains(number), "\(number) \(schema.text)")
          }
        }
      }
    }
  }

  /// Numbers with up to two digits behind the point, for bounds with as many.
  @Test func `bounds of numbers are exact`() throws {
    for low in [-250, -101, -100, -99, -5, 0, 1, 7, 50, 99, 100, 230] {
      for width in [0, 1, 9, 60, 151, 1000] {
        let high = low + width
        func text(_ hundredths: Int) -> String {
          let digits = String(hundredths.magnitude)
          let padded = String(repeating: "0", count: max(0, 3 - digits.count)) + digits
          return (hundredths < 0 ? "-" : "") + padded.dropLast(2) + "." + padded.suffix(2)
        }
        for isExclusive in [false, true] where !isExclusive || width > 0 {
          let names = isExclusive ? ("exclusiveMinimum", "exclusiveMaximum") : ("minimum", "maximum")
          let schema = try JSONValue(
            parsing: "{\"type\":\"number\",\"\(names.0)\":\(text(low)),\"\(names.1)\":\(text(high))}")
          let constraint = try Constraint(documentOf: schema)
          for number in stride(from: -300, through: 1300, by: number(low)) {
            let isInside = isExclusive ? number > low && number < high : number >= low && number <= high
            // There is no way to write a negative zero under bounds.
            #expect(constraint.accepts(text(number)) == isInside, "\(text(number)) \(schema.text)")
          }
        }
      }
    }
    func number(_ low: Int) -> Int { low % 2 == 0 ? 1 : 3 }
  }
}
