import Constraints
import Engine
import ModelJSON

/// How requests ask for JSON: `response_format`, `text.format` of responses, `output_config.format` of messages.
///
/// All three have the same kinds of format; OpenAI's chat has name and schema one level deeper, in `json_schema`.
extension AnswerConstraint {
  /// The constraint that a format asks for; nil where the text is free.
  ///
  /// - Parameters:
  ///   - format: the value of the field; nil where it is not given
  ///   - place: the field's name, for errors
  /// - Throws: `RequestError` that names the field: of an unknown kind, a schema that is missing or cannot be kept.
  static func format(
    _ format: RequestFields?, _ model: ServedModel
  ) throws(RequestError) -> AnswerConstraint? {
    guard var format else { return nil }
    let schema: JSONValue
    var place = format.path("schema")
    switch try format.string("type") {
    case "text":
      try format.finish()
      return nil
    case "json_object": schema = Constraint.anyObject
    case "json_schema":
      if var inner = try format.fields("json_schema") {
        place = inner.path("schema")
        schema = try Self.schema(&inner, isNamed: true)
      } else {
        schema = try Self.schema(&format, isNamed: false)
      }
    case let kind:
      throw .bad(
        format.path("type"),
        "'\(format.path("type"))' must be text, json_object or json_schema, not \(kind.map { "'\($0)'" } ?? "missing")",
        code: "invalid_value")
    }
    try format.finish()
    do {
      let constraint = try model.constraints.document(of: schema)
      // The vocabulary's tree is made here, where no answer waits for it.
      _ = model.vocabulary.trie
      return constraint
    } catch {
      throw .bad(place, "\(place): \(error.description)", code: "invalid_json_schema")
    }
  }

  /// The constraint with what may stand before the answer.
  func constraint(for lead: AnswerLead) throws(RequestError) -> Constraint {
    do {
      return try constraint(behind: lead)
    } catch {
      throw .bad(nil, error.description, code: "invalid_json_schema")
    }
  }

  /// The schema of a format, whose other members say nothing that changes it: all schemas are kept to strictly.
  private static func schema(_ fields: inout RequestFields, isNamed: Bool) throws(RequestError) -> JSONValue {
    if let name = try fields.string("name") {
      guard (1...64).contains(name.utf8.count) else {
        throw .bad(fields.path("name"), "'\(fields.path("name"))' must have from 1 to 64 bytes", code: "invalid_value")
      }
    } else if isNamed {
      throw .bad(fields.path("name"), "'\(fields.path("name"))' is missing")
    }
    _ = try fields.string("description")
    _ = try fields.bool("strict")
    guard let schema = fields.value("schema") else {
      throw .bad(fields.path("schema"), "'\(fields.path("schema"))' is missing")
    }
    guard schema.object != nil else {
      throw .bad(
        fields.path("schema"), "'\(fields.path("schema"))' must be an object, not \(schema.kind)", code: "invalid_type")
    }
    if isNamed { try fields.finish() }
    return schema
  }
}
