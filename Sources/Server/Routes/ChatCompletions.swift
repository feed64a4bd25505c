import ChatTemplates
import Engine
import KVCaches
import ModelJSON

/// `/v1/chat/completions`.
extension Routes {
  func chatCompletion(_ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    var fields = try RequestFields(body)
    var answer = try AnswerFields(&fields, model)
    let old = try fields.integer("max_tokens", in: 0...Int(Int32.max))
    answer.limit = try fields.integer("max_completion_tokens", in: 0...Int(Int32.max)) ?? old
    answer.constraint = try AnswerConstraint.format(fields.fields("response_format"), model)
    let chat = try ChatFields(&fields)
    try fields.finish()
    let turn = try chat.session.map { try conversations.begin($0, owner: owner, adding: chat.messages) }
    var handedOver = false
    defer { if !handedOver { turn?.abandon() } }

    let template = try model.conversationTemplate()
    let rendered = try chat.render(turn?.messages ?? chat.messages, template)
    let format = AnswerFormat(template.template)
    var requests: [GenerationRequest] = []
    for choice in 0..<answer.choices {
      requests.append(
        try answer.request(
          .text(rendered), owner: owner, format: format, lead: rendered.answerLead(template), choice: choice, model))
    }
    if let archive, let name = chat.session {
      for index in requests.indices { requests[index].session = archive.key(name, owner: owner) }
    }
    if turn != nil, requests.count > 1 { throw RequestError.bad("n", "a session has one answer a turn") }
    let stream = AnswerStream(try scheduler.submit(requests), choices: requests.count)
    handedOver = true
    let writer = ChatCompletionWriter(
      identifier: Self.identifier("chatcmpl-"), model: model.identifier, created: ConversationStore.now())
    if answer.streams {
      let includesUsage = answer.includesUsage
      let count = requests.count
      return .events { events in
        await writer.write(stream, choices: count, to: events, includesUsage: includesUsage, turn)
      }
    }
    do {
      let answers = try await stream.collect()
      turn?.finish(answers[0])
      return .json(writer.whole(answers), headers: answers[0].result.cache.headers)
    } catch {
      turn?.abandon()
      throw error
    }
  }
}

/// The fields of a chat: messages and how the template is to write them.
struct ChatFields {
  var messages: [JSONValue]
  /// The conversation that the server holds, of which the messages are the newest.
  var session: String?
  var thinking: Bool?
  var reasoningEffort: String?

  private static let roles: Set<String> = ["system", "developer", "user", "assistant", "tool"]
  private static let efforts = ["none", "minimal", "low", "medium", "high", "xhigh"]

  init(_ fields: inout RequestFields) throws(RequestError) {
    messages = try fields.array("messages") ?? []
    guard !messages.isEmpty else { throw .bad("messages", "'messages' must be an array with at least one message") }
    for (index, message) in messages.enumerated() {
      let role = message["role"]?.string ?? ""
      guard Self.roles.contains(role) else {
        let known = Self.roles.sorted().joined(separator: ", ")
        throw .bad("messages[\(index)].role", "a message must have a role of \(known)", code: "invalid_value")
      }
    }
    guard messages.last?["role"]?.string != "assistant" else {
      throw .bad("messages", "the last message is an assistant's; an answer is not continued here")
    }
    session = try fields.string("session")
    if let session, session.isEmpty || session.utf8.count > 128 {
      throw .bad("session", "'session' must have from 1 to 128 bytes", code: "invalid_value")
    }
    if let effort = try fields.string("reasoning_effort") {
      guard Self.efforts.contains(effort) else {
        throw .bad("reasoning_effort", "'reasoning_effort' must be one of \(Self.efforts.joined(separator: ", "))")
      }
      thinking = effort != "none"
      reasoningEffort = ["none", "minimal"].contains(effort) ? "low" : effort == "xhigh" ? "high" : effort
    }
    if var template = try fields.fields("chat_template_kwargs") {
      thinking = try template.bool("enable_thinking") ?? thinking
      try template.finish()
    }
    try refuseOthers(&fields)
  }

  /// What is refused unless it asks for what is done anyway.
  private func refuseOthers(_ fields: inout RequestFields) throws(RequestError) {
    try fields.refuse(["tools", "functions"]) { $0.array?.isEmpty ?? false }
    try fields.refuse(["tool_choice", "function_call"]) { ["none", "auto"].contains($0.string) }
    fields.ignore(["parallel_tool_calls"])
    try fields.refuse(["logprobs"]) { $0.bool == false }
    try fields.refuse(["top_logprobs"]) { $0.integer == 0 }
    try fields.refuse(["modalities"]) { $0.array == ["text"] }
    try fields.refuse(["audio", "prediction", "web_search_options"])
    try fields.refuse(["verbosity"]) { $0.string == "medium" }
  }

  /// - Throws: `RequestError` that names the message which the template does not take.
  func render(_ messages: [JSONValue], _ template: ConversationTemplate) throws(RequestError) -> RenderedConversation {
    var conversation = TemplateConversation(messages)
    (conversation.thinking, conversation.reasoningEffort) = (thinking, reasoningEffort)
    do {
      return try template.render(conversation)
    } catch {
      let place = error.kind == .messages && error.name.hasPrefix("messages") ? error.name : "messages"
      throw .bad(place, error.kind == .messages ? "\(place): \(error.message)" : error.description)
    }
  }
}
