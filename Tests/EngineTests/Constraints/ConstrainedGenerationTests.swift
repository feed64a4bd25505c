import Constraints
import Engine
import Foundation
import KVCaches
import Kernels
import ModelJSON
import TestSupport
import Testing
import Tokenizers

/// Documents that a model of random weights writes.
@Suite struct ConstrainedGenerationTests {
  struct Written {
    var text = ""
    var finish: Generation.Finish?
    var tokens: [Int32] = []
  }

  struct Person: Decodable {
    enum Pet: String, Decodable { case cat, dog, none }
    let name: String
    let age: Int
    let pet: Pet
    let scores: [Double]
    let next: Box?
    struct Box: Decodable { let deep: Bool }
  }

  static let person: JSONValue = [
    "type": "object",
    "properties": [
      "name": ["type": "string", "minLength": 1, "maxLength": 12],
      "age": ["type": "integer", "minimum": 0, "maximum": 130],
      "pet": ["enum": ["cat", "dog", "none"]],
      "scores": ["type": "array", "items": ["type": "number", "minimum": -1, "maximum": 1], "maxItems": 3],
      "next": ["type": "object", "properties": ["deep": ["type": "boolean"]], "required": ["deep"]],
    ],
    "required": ["name", "age", "pet", "scores"], "additionalProperties": false,
  ]

  /// A list that refers to itself.
  static let list: JSONValue = [
    "$ref": "#/$defs/list",
    "$defs": [
      "list": [
        "anyOf": [
          ["type": "null"],
          [
            "type": "object",
            "properties": ["date": ["type": "string", "format": "date"], "rest": ["$ref": "#/$defs/list"]],
            "required": ["date", "rest"],
          ],
        ]
      ]
    ],
  ]

  private let loaded: LanguageModel.Loaded

  init() throws { loaded = try loadTiny(chunk: 16) }

  private func write(
    _ constraint: Constraint, _ sampling: SamplingOptions, limit: Int = 2000, speculation: Speculation = .off,
    prompt: UInt64 = 1
  ) throws -> Written {
    let sequence = try loaded.engine.makeSequence(KVCache.Plan("streaming-llm:4+60"), slotType: .float32)
    try sequence.speculate(speculation, costs: loaded.engine.guessCosts)
    sequence.append(randomIDs(10, seed: prompt))
    let matcher = try #require(loaded.engine.constraints?.matcher(of: constraint))
    var generation = Generation(
      sequence, tokenizer: loaded.tokenizer, sampling: sampling, limit: limit, matcher: matcher)
    let scheduler = Scheduler(engine: loaded.engine)
    var written = Written()
    while let piece = try scheduler.next(of: &generation) { written.text += piece }
    written.finish = generation.finish
    written.tokens = (0..<generation.generatedTokens).reversed().map { sequence.log[back: $0] }
    return written
  }

  @Test func `every document of a random model parses and keeps to its schema`() throws {
    let constraint = try Constraint(documentOf: Self.person)
    for seed: UInt64 in 0..<200 {
      let written = try write(
        constraint, SamplingOptions(temperature: 1, topK: 0, topP: 1, minP: 0, seed: seed), prompt: seed)
      #expect(written.finish == .endOfText, "\(written.text)")
      let person = try JSONDecoder().decode(Person.self, from: Data(written.text.utf8))
      #expect((1...12).contains(person.name.unicodeScalars.count) && (0...130).contains(person.age), "\(written.text)")
      #expect(person.scores.count <= 3 && person.scores.allSatisfy { (-1...1).contains($0) }, "\(written.text)")
    }
  }

  @Test func `a schema that refers to itself ends`() throws {
    let constraint = try Constraint(documentOf: Self.list)
    for seed: UInt64 in 0..<60 {
      // A model without sense may open lists until the bound on nesting.
      let written = try write(constraint, SamplingOptions(temperature: 1, topK: 0, topP: 1, minP: 0, seed: seed))
      #expect(written.finish == .endOfText)
      var value = try JSONValue(parsing: written.text)
      while let date = value["date"]?.string {
        #expect(date.wholeMatch(of: /\d{4}-\d{2}-\d{2}/) != nil)
        value = value["rest"] ?? true
      }
      #expect(value.isNull)
    }
  }

  @Test(arguments: [
    SamplingOptions.greedy, SamplingOptions(seed: 3),
    SamplingOptions(repetitionPenalty: 1.3, presencePenalty: 1, frequencyPenalty: 0.5, seed: 4),
    SamplingOptions(temperature: 2, topK: 1, topP: 0.5, minP: 0.4, seed: 5),
  ])
  func `all ways of sampling keep to it, with guesses and without`(sampling: SamplingOptions) throws {
    let constraint = try Constraint(documentOf: Self.person)
    let plain = try write(constraint, sampling)
    #expect(plain.finish == .endOfText)
    _ = try JSONDecoder().decode(Person.self, from: Data(plain.text.utf8))
    let guessed = try write(constraint, sampling, speculation: .fixed(6))
    #expect(guessed.text == plain.text && guessed.tokens == plain.tokens)
  }

  @Test func `a cut document ends with the limit, and begins like the whole one`() throws {
    let constraint = try Constraint(documentOf: Self.person)
    let whole = try write(constraint, .greedy)
    for limit in 1..<whole.tokens.count {
      let cut = try write(constraint, .greedy, limit: limit)
      // A character that was cut is shown as one that is not known.
      let text = cut.text.hasSuffix("\u{FFFD}") ? String(cut.text.dropLast()) : cut.text
      #expect(cut.finish == .limit && whole.text.hasPrefix(text) && cut.tokens.count == limit)
    }
    // The end token is not counted: the limit is met just as the document ends.
    #expect(try write(constraint, .greedy, limit: whole.tokens.count).finish == .limit)
    #expect(try write(constraint, .greedy, limit: whole.tokens.count + 1).finish == .endOfText)
  }

  @Test func `a vocabulary that cannot write the document is an error`() throws {
    let constraint = try Constraint(.special(Int32(loaded.tokenizer.vocabularySize)))
    #expect(throws: LanguageModelError.constraintNotKept) { try write(constraint, .greedy) }
  }

  @Test func `a vocabulary without an end token ends with the document`() throws {
    let constraint = try Constraint(documentOf: ["enum": ["in", "the"]])
    let table = ConstraintTable(
      constraint,
      TokenTrie(vocabularySize: loaded.tokenizer.vocabularySize, ends: [Int32]()) {
        loaded.tokenizer.isSpecial($0) ? nil : loaded.tokenizer.piece($0)
      })
    let sequence = try loaded.engine.makeSequence(KVCache.Plan("full"), slotType: .float32)
    sequence.append(randomIDs(10, seed: 1))
    var generation = Generation(
      sequence, tokenizer: loaded.tokenizer, sampling: .greedy, matcher: ConstraintMatcher(table))
    let scheduler = Scheduler(engine: loaded.engine)
    var text = ""
    while let piece = try scheduler.next(of: &generation) { text += piece }
    #expect(["\"in\"", "\"the\""].contains(text.trimmingCharacters(in: .whitespacesAndNewlines)))
    #expect(generation.finish == .endOfText)
  }

  @Test func `tables are kept for constraints used lately`() throws {
    let tables = ConstraintTables(ConstraintVocabulary(loaded.tokenizer))
    let cache = AnswerConstraintCache(limit: 2)
    let first = try cache.document(of: Self.person)
    #expect(try cache.document(of: Self.person) == first)
    _ = try cache.document(of: Self.list)
    #expect(try cache.document(of: Self.person) == first)
    _ = try cache.document(of: true)
    #expect(try cache.document(of: Self.person) == first)
    #expect(throws: ConstraintError.self) { try cache.document(of: ["type": "nothing"]) }
    for _ in 0..<40 { #expect(!tables.matcher(of: try Constraint(documentOf: true)).canEnd) }
    #expect(tables.count <= 16)
  }
}
