import Engine
import Foundation
import ModelJSON
import TestSupport
import Testing

/// Schemas that are found by decoding, and values of them.
@Suite struct SchemaRecorderTests {
  enum Course: String, Generable, CaseIterable { case starter, main, dessert }
  enum Level: Int, Decodable, CaseIterable, Sendable { case low = 1, high = 3 }

  struct Ingredient: Generable, Equatable {
    let name: String
    let grams: UInt8?
  }

  struct Recipe: Generable {
    let title: String
    let course: Course
    let level: Level
    let isHot: Bool
    let minutes: Int
    let weight: Double
    let parts: [Ingredient]
    let notes: [String: [Float]]
    let next: [Recipe]
    let url: URL?
    let id: UUID
    let date: Date
  }

  struct Node: Generable {
    let value: Int16
    let children: [Node]
  }

  final class Chain: Generable {
    let link: Chain?
    init(link: Chain?) { self.link = link }
  }

  struct Bounded: Generable {
    let stars: Int
    static var schema: Schema { .object(["stars": .integer(in: 1...5)]) }
  }

  struct Review: Generable {
    let of: Bounded
    let others: [Bounded]
  }

  struct Listing: Generable {
    let all: [Review]
    static var schema: Schema { get throws { .object(["all": .array(of: try Review.schema, count: 1...2)]) } }
  }

  enum Shape: Generable { case circle(radius: Double), point }
  struct Odd: Generable {
    init(from decoder: any Decoder) throws { _ = try decoder.unkeyedContainer() }
  }

  private func schema(_ type: any Generable.Type) throws -> JSONValue {
    try JSONValue(parsing: type.schema.description)
  }

  @Test func `members, their types and their order`() throws {
    let recipe = try schema(Recipe.self)["$defs"]?["Recipe"]
    #expect(
      recipe?["properties"]?.object?.keys == [
        "title", "course", "level", "isHot", "minutes", "weight", "parts", "notes", "next", "url", "id", "date",
      ])
    #expect(recipe?["required"]?.array?.compactMap(\.string).contains("url") == false)
    let properties = recipe?["properties"]
    #expect(properties?["course"] == ["enum": ["starter", "main", "dessert"]])
    #expect(properties?["level"] == ["enum": [1, 3]])
    #expect(properties?["notes"]?["additionalProperties"]?["items"] == ["type": "number"])
    #expect(properties?["next"]?["items"] == ["$ref": "#/$defs/Recipe"])
    #expect(
      properties?["parts"]?["items"]?["properties"]?["grams"] == ["type": "integer", "minimum": 0, "maximum": 255])
    #expect(properties?["parts"]?["items"]?["required"] == ["name"])
  }

  @Test func `types that refer to themselves`() throws {
    #expect(try schema(Node.self)["$ref"] == "#/$defs/Node")
    #expect(try schema(Chain.self)["$defs"]?["Chain"]?["properties"]?["link"] == ["$ref": "#/$defs/Chain"])
    #expect(try schema(Chain.self)["$defs"]?["Chain"]?["required"] == [])
  }

  @Test func `a type's own schema is taken, wherever it stands`() throws {
    let own: JSONValue = ["type": "integer", "minimum": 1, "maximum": 5]
    #expect(try schema(Bounded.self)["properties"]?["stars"] == own)
    #expect(try schema(Review.self)["properties"]?["of"]?["properties"]?["stars"] == own)
    #expect(try schema(Review.self)["properties"]?["others"]?["items"]?["properties"]?["stars"] == own)
    #expect(
      try schema(Listing.self)["properties"]?["all"]?["items"]?["properties"]?["of"]?["properties"]?["stars"] == own)
  }

  @Test func `what cannot be recorded asks for a schema`() {
    #expect(throws: LanguageModelError.self) { try Shape.schema }
    #expect(throws: LanguageModelError.self) { try Odd.schema }
  }

  @Test func `schemas that are put together say what was meant`() throws {
    #expect(
      Schema.string(maxLength: 5, pattern: "a").description == #"{"type": "string", "maxLength": 5, "pattern": "a"}"#)
    #expect(
      Schema.object(["a": .boolean, "b": .number(in: 0...1).optional]).description
        == #"{"type": "object", "properties": {"a": {"type": "boolean"}, "b": {"type": "number", "minimum": 0.0, "maximum": 1.0}}, "required": ["a"], "additionalProperties": false}"#
    )
    #expect(try Schema(json: #"{"type": "null"}"#).description == #"{"type": "null"}"#)
    #expect(throws: LanguageModelError.self) { try Schema(json: "{") }
    #expect(Schema.choice(of: ["x"]) != Schema.choice(of: ["x"]).optional)
    #expect(Set([Schema.boolean, .boolean, .any(of: [.boolean])]).count == 2)
  }

  private func model() async throws -> LanguageModel {
    let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await LanguageModel(
      TinyModel(trainedLength: 4096).write(in: folder),
      options: LanguageModel.Options(threads: 1, exactArithmetic: true))
  }

  struct Card: Generable {
    let course: Course
    let level: Level
    let isHot: Bool
    let size: Int8
    let id: UUID
    let date: Date
  }

  @Test func `a session answers with values`() async throws {
    let model = try await model()
    for seed: UInt64 in 1...10 {
      let session = LanguageModelSession(model: model)
      let options = GenerationOptions(sampling: SamplingOptions(seed: seed))
      let card = try await session.respond(to: "A card, please.", generating: Card.self, options: options)
      #expect(Course.allCases.contains(card.course))
      // The next turn is free again.
      let text = try await session.respond(to: "Hello", options: GenerationOptions(maximumResponseTokens: 3))
      #expect(!text.content.isEmpty)
    }
  }

  @Test func `an answer that was cut is an error that says so`() async throws {
    let session = LanguageModelSession(model: try await model())
    let options = GenerationOptions(sampling: .greedy, maximumResponseTokens: 10)
    let error = await #expect(throws: LanguageModelError.self) {
      try await session.respond(to: "A card, please.", generating: Card.self, options: options)
    }
    #expect(error?.description.contains("allow more tokens") == true)
  }

  @Test func `a schema in words, whole and in pieces`() async throws {
    let model = try await model()
    let schema = Schema.object(["yes": .boolean, "why": .choice(of: ["so", "no"])])
    let options = GenerationOptions(sampling: .greedy)
    let whole = try await LanguageModelSession(model: model).respond(to: "x", schema: schema, options: options).content
    var pieces = ""
    for try await piece in try LanguageModelSession(model: model).streamResponse(
      to: "x", schema: schema, options: options)
    {
      pieces += piece
    }
    #expect(pieces == whole)
    #expect(try JSONValue(parsing: whole)["yes"]?.bool != nil)
    let bad = try Schema(json: #"{"type": "string", "pattern": "(?=a)"}"#)
    await #expect(throws: LanguageModelError.self) {
      try await LanguageModelSession(model: model).respond(to: "x", schema: bad)
    }
  }
}
