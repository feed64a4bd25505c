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
    try messages.chat.constrain(&answer, model)

    let rendered = try messages.chat.render(messages.chat.messages, model, owner: owner)
    let reader = messages.chat.reader(rendered, answer, model)
    let request = try answer.request(
      .text(rendered), owner: owner, reader: reader, lead: messages.chat.lead(rendered, model), choice: 0, model)
    let stream = AnswerStream(try scheduler.submit([request]), choices: 1)
    let writer = MessageWriter(
      identifier: Self.identifier("msg_"), model: model.identifier, promptTokens: request.promptTokens.count,
      isCutByContext: request.limit < min(limit, model.trainedLength))
    if answer.streams { return .events { await writer.write(stream, to: $0) } }
    return .json(writer.whole(try await stream.collect()[0]))
  }

  func countTokens(_ body: JSONValue, owner: Int) throws -> HTTPResponse {
    var fields = try RequestFields(body)
    let messages = try MessageFields(&fields, model)
    try fields.finish()
    // It costs no token, but one that an answer would refuse is refused here too.
    _ = try AnswerConstraint.format(messages.outputFormat, model)
    let rendered = try messages.chat.render(messages.chat.messages, model, owner: owner)
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
    let converted = try AnthropicMessages(given)
    let places = messages.map { _ in "system" } + converted.places
    messages += converted.messages
    var inner = try RequestFields(["messages": .array(messages)])
    chat = try ChatFields(&inner)
    chat.places = places
    if var thinking = try fields.fields("thinking") {
      let kind = try thinking.string("type") ?? ""
      guard ["enabled", "disabled", "adaptive"].contains(kind) else {
        throw .bad("thinking.type", "'thinking.type' must be enabled, disabled or adaptive")
      }
      chat.thinking = kind == "adaptive" ? nil : kind == "enabled"
      thinking.ignore(["budget_tokens", "display"])
      try thinking.finish()
    }
    chat.tools = try ToolFields.anthropic(&fields)
    try fields.refuse(["mcp_servers"]) { $0.array?.isEmpty ?? false }
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
    if let spec = try fields.string("cache") { answer.plan = try answer.named(spec) }
    answer.streams = try fields.bool("stream") ?? false
    fields.ignore(["metadata", "service_tier", "inference_geo"])
  }
}
