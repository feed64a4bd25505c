import ChatTemplates
import Engine
import KVCaches
import ModelJSON

/// `/v1/messages` and `/v1/messages/count_tokens`, Anthropic's API.
extension Routes {
  func message(_ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    var fields = try RequestFields(body)
    var answer = AnswerFields(model)
    let messages = try MessageFields(&fields, model)
    guard let limit = try fields.integer("max_tokens", in: 1...Int(Int32.max)) else {
      throw RequestError.bad("max_tokens", "'max_tokens' is missing")
    }
    answer.limit = limit
    try messages.read(&fields, into: &answer)
    answer.constraint = try AnswerConstraint.format(messages.outputFormat, model)
    try fields.finish()

    let template = try model.conversationTemplate()
    let rendered = try messages.chat.render(messages.chat.messages, template)
    let request = try answer.request(
      .text(rendered), owner: owner, format: AnswerFormat(template.template), lead: rendered.answerLead(template),
      choice: 0, model)
    let stream = AnswerStream(try scheduler.submit([request]), choices: 1)
    let writer = MessageWriter(
      identifier: Self.identifier("msg_"), model: model.identifier, promptTokens: request.promptTokens.count,
      isCutByContext: request.limit < min(limit, model.trainedLength))
    if answer.streams { return .events { await writer.write(stream, to: $0) } }
    return .json(writer.whole(try await stream.collect()[0]))
  }

  func countTokens(_ body: JSONValue) throws -> HTTPResponse {
    var fields = try RequestFields(body)
    let messages = try MessageFields(&fields, model)
    try fields.finish()
    let rendered = try messages.chat.render(messages.chat.messages, model.conversationTemplate())
    return .json(["input_tokens": JSONValue(rendered.tokens(after: 0).count)])
  }
}

/// The fields of a message request, those of counting and those of an answer.
private struct MessageFields {
  var chat: ChatFields
  /// What the answer is to be (`output_config.format`).
  var outputFormat: RequestFields?

  /// - Throws: `RequestError` that names the field.
  init(_ fields: inout RequestFields, _ model: ServedModel) throws(RequestError) {
    try model.check(fields.string("model"))
    var messages: [JSONValue] = []
    if let system = fields.value("system") {
      guard system.string != nil || system.array != nil else {
        throw .bad("system", "'system' must be a string or an array of blocks, not \(system.kind)")
      }
      messages.append(["role": "system", "content": system])
    }
    guard let given = try fields.array("messages"), !given.isEmpty else {
      throw .bad("messages", "'messages' must be an array with at least one message")
    }
    for (index, message) in given.enumerated() {
      guard let role = message["role"]?.string, ["user", "assistant"].contains(role) else {
        throw .bad("messages[\(index)].role", "a message must have the role user or assistant")
      }
      messages.append(Self.withThoughtsApart(message))
    }
    var inner = try RequestFields(["messages": .array(messages)])
    chat = try ChatFields(&inner)
    if var thinking = try fields.fields("thinking") {
      let kind = try thinking.string("type") ?? ""
      guard ["enabled", "disabled", "adaptive"].contains(kind) else {
        throw .bad("thinking.type", "'thinking.type' must be enabled, disabled or adaptive")
      }
      chat.thinking = kind == "adaptive" ? nil : kind == "enabled"
      thinking.ignore(["budget_tokens", "display"])
      try thinking.finish()
    }
    try fields.refuse(["tools", "mcp_servers"]) { $0.array?.isEmpty ?? false }
    try fields.refuse(["tool_choice"]) { ["none", "auto"].contains($0["type"]?.string) }
    if var output = try fields.fields("output_config") {
      chat.reasoningEffort = try output.string("effort")
      outputFormat = try output.fields("format")
      try output.finish()
    }
    try fields.refuse(["output_format", "container", "context_management", "diagnostics"])
    try fields.refuse(["speed"]) { $0.string == "standard" }
    fields.ignore(["betas", "cache_control", "user_profile_id", "workspace_id"])
  }

  func read(_ fields: inout RequestFields, into answer: inout AnswerFields) throws(RequestError) {
    if let value = try fields.number("temperature", in: 0...1) { answer.sampling.temperature = value }
    if let value = try fields.number("top_p", in: 0...1) { answer.sampling.topP = max(value, .leastNormalMagnitude) }
    if let value = try fields.integer("top_k", in: 0...Int(Int32.max)) { answer.sampling.topK = value }
    answer.stopStrings = try AnswerFields.stops(&fields, "stop_sequences")
    if let spec = try fields.string("cache") { answer.plan = try AnswerFields.plan(spec) }
    answer.streams = try fields.bool("stream") ?? false
    fields.ignore(["metadata", "service_tier", "inference_geo"])
  }

  /// Thoughts come back as blocks of an assistant's message; templates know them as a member.
  private static func withThoughtsApart(_ message: JSONValue) -> JSONValue {
    guard var members = message.object, members["role"]?.string == "assistant", let blocks = members["content"]?.array
    else { return message }
    let kinds: Set<String> = ["thinking", "redacted_thinking"]
    let thoughts = blocks.filter { kinds.contains($0["type"]?.string ?? "") }
    guard !thoughts.isEmpty else { return message }
    members["content"] = .array(blocks.filter { !kinds.contains($0["type"]?.string ?? "") })
    members["reasoning_content"] = .string(thoughts.compactMap { $0["thinking"]?.string }.joined(separator: "\n"))
    return .object(members)
  }
}
