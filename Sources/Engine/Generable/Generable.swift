import Foundation

/// A type of which a model can write values: it is decoded from JSON that keeps to its schema.
///
/// ```swift
/// struct Recipe: Generable {
///   enum Course: String, Generable, CaseIterable { case starter, main, dessert }
///   let title: String
///   let course: Course
///   let minutes: Int
///   let steps: [String]
/// }
/// let recipe = try await session.respond(to: "A quick soup, please.", generating: Recipe.self)
/// ```
/// The schema of a type whose decoding the compiler writes is found by decoding it once from a recorder: names and types of members, in
/// their order, nested types, arrays, dictionaries by `String`, optionals, and enumerations of strings or integers that are
/// `CaseIterable`. Write `schema` for bounds, and for types that decode in their own way.
public protocol Generable: Decodable, Sendable {
  /// - Throws: `LanguageModelError` where the recorder cannot tell.
  static var schema: Schema { get throws }
}

extension Generable {
  public static var schema: Schema {
    get throws { try SchemaRecorder.schema(of: Self.self) }
  }
}

extension LanguageModelSession {
  /// Answers a prompt with a value.
  ///
  /// What is written is JSON that keeps to the type's schema; a model that thinks may do so before. Dates are written as ISO 8601.
  ///
  /// - Throws: `LanguageModelError` where the schema cannot be kept, or the answer was cut before its end.
  public func respond<Content: Generable>(
    to prompt: String, generating type: Content.Type = Content.self, options: GenerationOptions = GenerationOptions()
  ) async throws -> Content {
    let text = try await respond(to: prompt, schema: try Content.schema, options: options).content
    do {
      let decoder = JSONDecoder()
      decoder.dateDecodingStrategy = .iso8601
      return try decoder.decode(Content.self, from: Data(text.utf8))
    } catch {
      throw LanguageModelError.notDecoded("\(Content.self)", Self.reason(error, text))
    }
  }

  /// Answers a prompt with JSON that keeps to a schema.
  ///
  /// - Throws: `LanguageModelError` where the schema cannot be kept.
  public func respond(
    to prompt: String, schema: Schema, options: GenerationOptions = GenerationOptions()
  ) async throws -> Response {
    try await respond(to: prompt, options: options.keeping(to: schema))
  }

  /// Answers a prompt with JSON that keeps to a schema, piece by piece.
  ///
  /// - Throws: `LanguageModelError` where the schema cannot be kept.
  public func streamResponse(
    to prompt: String, schema: Schema, options: GenerationOptions = GenerationOptions()
  ) throws -> ResponseStream {
    streamResponse(to: prompt, options: try options.keeping(to: schema))
  }

  private static func reason(_ error: any Error, _ text: String) -> String {
    guard case DecodingError.dataCorrupted = error else { return "\(error)" }
    return "it ends before the document does, after \(text.utf8.count) bytes; allow more tokens"
  }
}

extension GenerationOptions {
  private static let constraints = AnswerConstraintCache(limit: 32)

  fileprivate func keeping(to schema: Schema) throws -> GenerationOptions {
    var options = self
    do {
      options.constraint = try Self.constraints.document(of: schema.json)
    } catch {
      throw LanguageModelError.badSchema(error)
    }
    return options
  }
}
