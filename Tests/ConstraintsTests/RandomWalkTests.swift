import Kernels
import ModelJSON
import Testing

@testable import Constraints

/// Whatever is written by chance under a constraint is a document that the schema accepts.
@Suite struct RandomWalkTests {
  /// Bytes that may come next.
  private static func choices(_ matcher: ConstraintMatcher) -> [UInt8] {
    (UInt8.min...UInt8.max).filter {
      var copy = matcher
      return copy.accept([$0])
    }
  }

  /// A walk that first goes anywhere, and then where documents end.
  static func document(_ constraint: Constraint, _ random: inout SplitMix64) throws -> String? {
    var matcher = ConstraintMatcher(constraint)
    var bytes: [UInt8] = []
    let endings = Array("\"]}, ".utf8)
    while true {
      let choices = choices(matcher)
      if matcher.canEnd, choices.isEmpty || bytes.count > 60 || Int.random(in: 0..<3, using: &random) == 0 { break }
      try #require(!choices.isEmpty, "nothing may follow \(String(decoding: bytes, as: UTF8.self))")
      // Chance seldom finds what a pattern looks for.
      if bytes.count > 1500 { return nil }
      let closing = bytes.count > 60 ? endings.filter(choices.contains) : []
      let byte = (closing.isEmpty ? choices : closing).randomElement(using: &random) ?? 0
      let isTaken = matcher.accept([byte])
      try #require(isTaken)
      bytes.append(byte)
    }
    let text: String = try #require(String(validatingUTF8Bytes: bytes))
    return text
  }

  @Test(arguments: SchemaTableTests.cases) func `a random walk is a valid document`(example: SchemaCase) throws {
    let schema = try JSONValue(parsing: example.schema)
    let constraint = try Constraint(documentOf: schema)
    let validator = SchemaValidator(root: schema)
    var random = SplitMix64(seed: 11)
    for _ in 0..<12 {
      guard let text = try Self.document(constraint, &random) else { continue }
      let value = try JSONValue(parsing: text)
      // Old forms that the validator does not know.
      guard !example.schema.contains("definitions"), !example.schema.contains("additionalItems") else { continue }
      #expect(validator.accepts(value), "\(text)")
    }
  }

  @Test func `a random walk under recorded schemas is a valid document`() throws {
    var random = SplitMix64(seed: 5)
    for line in try RecordedDocumentTests.lines() {
      guard let schema = line["schema"], let constraint = try? Constraint(documentOf: schema) else { continue }
      let validator = SchemaValidator(root: schema)
      for _ in 0..<2 {
        guard let text = try Self.document(constraint, &random) else { continue }
        #expect(validator.accepts(try JSONValue(parsing: text)), "\(text) \(schema.text)")
      }
    }
  }
}

extension String {
  init?(validatingUTF8Bytes bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
    self = text
  }
}
