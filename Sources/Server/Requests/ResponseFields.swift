import Engine
import ModelJSON

/// The fields of a `/v1/responses` request.
struct ResponseFields: Sendable {
  let chat: ChatFields
  let answer: AnswerFields
  /// The messages of the request alone, which a later one may go on from; instructions are not among them.
  let messages: [JSONValue]
  let stores: Bool
  let previous: String?
  /// What a response says again of its request.
  let echo: JSONObject

  /// Kinds of tools that agents such as Codex declare, and that an answer can do without.
  static let ignoredTools: Set<String> = [
    "web_search", "web_search_preview", "image_generation", "local_shell", "custom",
  ]
  /// Fields that are taken without effect.
  private static let ignored = [
    "user", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
    "client_metadata",
  ]
  private static let probabilities = "message.output_text.logprobs"

  /// - Parameter earlier: the messages of a response before; nil where there is none by that name
  /// - Throws: `RequestError` that names the field.
  init(
    _ fields: inout RequestFields, _ model: ServedModel, earlier: (String) -> [JSONValue]?
  ) throws(RequestError) {
    try model.check(fields.string("model"))
    fields.ignore(Self.ignored)
    guard let input = fields.value("input") else { throw .bad("input", "'input' is missing") }
    var messages: [JSONValue] = []
    previous = try fields.string("previous_response_id")
    if let previous {
      guard let found = earlier(previous) else {
        throw .bad(
          "previous_response_id", "there is no response '\(previous)' any more", code: "previous_response_not_found")
      }
      messages = found
    }
    var places = messages.map { _ in "previous_response_id" }
    let converted = try ResponseInput(input)
    messages += converted.messages
    places += converted.places
    self.messages = messages
    let instructions = try fields.string("instructions")
    if let instructions {
      messages.insert(["role": "developer", "content": .string(instructions)], at: 0)
      places.insert("instructions", at: 0)
    }

    let tools = fields.value("tools") ?? []
    let choice = fields.value("tool_choice") ?? "auto"
    var inner = try RequestFields(["messages": .array(messages)])
    var chat = try ChatFields(&inner)
    chat.places = places
    chat.tools = try ToolFields.responses(&fields, ignoring: Self.ignoredTools)
    var answer = AnswerFields(model)
    let reasoning = try Self.readReasoning(&fields, into: &chat)
    try Self.readAnswer(&fields, into: &answer, model)
    let text = try Self.readText(&fields, into: &answer, model)
    try chat.constrain(&answer, model)
    let truncation = try fields.string("truncation") ?? "disabled"
    guard ["auto", "disabled"].contains(truncation) else {
      throw .bad("truncation", "'truncation' must be auto or disabled", code: "invalid_value")
    }
    let metadata = try fields.object("metadata") ?? JSONObject()
    guard metadata.allSatisfy({ $0.value.string != nil }), metadata.count <= 16 else {
      throw .bad("metadata", "'metadata' must have up to 16 members that are text", code: "invalid_value")
    }
    stores = try fields.bool("store") ?? true
    try fields.refuse(["background"]) { $0.bool == false }
    try fields.refuse(["max_tool_calls", "conversation", "prompt", "context_management", "moderation"])
    var echo = JSONObject()
    echo["instructions"] = JSONValue.optional(instructions)
    echo["metadata"] = .object(metadata)
    echo["max_output_tokens"] = answer.limit.map { JSONValue($0) } ?? .null
    echo["previous_response_id"] = JSONValue.optional(previous)
    echo["parallel_tool_calls"] = JSONValue(chat.tools.isParallel)
    echo["temperature"] = JSONValue(answer.sampling.temperature)
    echo["top_p"] = JSONValue(answer.sampling.topP)
    (echo["tools"], echo["tool_choice"]) = (tools, choice)
    (echo["text"], echo["reasoning"]) = (text, reasoning)
    echo["truncation"] = .string(truncation)
    echo["store"] = JSONValue(stores)
    echo["background"] = false
    echo["top_logprobs"] = JSONValue(answer.likeliest ?? 0)
    self.echo = echo
    (self.chat, self.answer) = (chat, answer)
  }

  private static func readAnswer(
    _ fields: inout RequestFields, into answer: inout AnswerFields, _ model: ServedModel
  ) throws(RequestError) {
    answer.limit = try fields.integer("max_output_tokens", in: 1...Int(Int32.max))
    if let value = try fields.number("temperature", in: 0...2) { answer.sampling.temperature = value }
    if let value = try fields.number("top_p", in: 0...1) { answer.sampling.topP = max(value, .leastNormalMagnitude) }
    if let value = try fields.integer("top_k", in: -1...Int(Int32.max)) { answer.sampling.topK = max(0, value) }
    if let spec = try fields.string("cache") { answer.plan = try AnswerFields.plan(spec, model) }
    answer.streams = try fields.bool("stream") ?? false
    if var options = try fields.fields("stream_options") {
      options.ignore(["include_obfuscation"])
      try options.finish()
    }
    let likeliest = try fields.integer("top_logprobs", in: 0...20)
    for (index, value) in try fields.array("include")?.enumerated().map({ $0 }) ?? [] {
      switch value.string {
      case probabilities: answer.likeliest = likeliest ?? 0
      // Thoughts are not encrypted here: they come as text.
      case "reasoning.encrypted_content": continue
      default: throw .unsupported("include[\(index)]")
      }
    }
    if likeliest ?? 0 > 0, answer.likeliest == nil {
      throw .bad("top_logprobs", "'top_logprobs' needs '\(probabilities)' in 'include'")
    }
  }

  private static func readReasoning(
    _ fields: inout RequestFields, into chat: inout ChatFields
  ) throws(RequestError) -> JSONValue {
    var effort: String?
    if var reasoning = try fields.fields("reasoning") {
      effort = try reasoning.string("effort")
      try chat.setEffort(effort, at: "reasoning.effort")
      reasoning.ignore(["summary", "generate_summary", "context"])
      try reasoning.finish()
    }
    return ["effort": JSONValue.optional(effort), "summary": .null]
  }

  private static func readText(
    _ fields: inout RequestFields, into answer: inout AnswerFields, _ model: ServedModel
  ) throws(RequestError) -> JSONValue {
    var format: JSONValue = ["type": "text"]
    if var text = try fields.fields("text") {
      if let given = text.value("format") { format = given }
      answer.constraint = try AnswerConstraint.format(text.fields("format"), model)
      try text.refuse(["verbosity"]) { $0.string == "medium" }
      try text.finish()
    }
    return ["format": format, "verbosity": "medium"]
  }
}

extension JSONValue {
  /// A text, or null where there is none.
  fileprivate static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}
