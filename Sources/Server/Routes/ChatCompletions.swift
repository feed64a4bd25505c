import ChatTemplates
import Engine
import KVCaches
import ModelJSON
import Tokenizers

/// `/v1/chat/completions`.
extension Routes {
  func chatCompletion(_ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    var fields = try RequestFields(body)
    var answer = try AnswerFields(&fields, model)
    let old = try fields.integer("max_tokens", in: 0...Int(Int32.max))
    answer.limit = try fields.integer("max_completion_tokens", in: 0...Int(Int32.max)) ?? old
    try answer.readProbabilities(&fields)
    answer.constraint = try AnswerConstraint.format(fields.fields("response_format"), model)
    let chat = try ChatFields(&fields)
    try fields.finish()
    try chat.constrain(&answer, model)
    var turn: ConversationTurn?
    if let name = chat.session { turn = try await conversations.begin(name, owner: owner, adding: chat.messages) }
    var handedOver = false
    defer { if !handedOver { turn?.abandon() } }

    let rendered = try chat.render(turn?.messages ?? chat.messages, model, owner: owner)
    let reader = chat.reader(rendered, answer, model)
    var requests: [GenerationRequest] = []
    for choice in 0..<answer.choices {
      requests.append(
        try answer.request(
          .text(rendered), owner: owner, reader: reader, lead: chat.lead(rendered, model), choice: choice,
          session: chat.session, model))
    }
    if let archive, let name = chat.session {
      for index in requests.indices { requests[index].storedSession = archive.key(name, owner: owner) }
    }
    if turn != nil, requests.count > 1 { throw RequestError.bad("n", "a session has one answer a turn") }
    let stream = AnswerStream(try scheduler.submit(requests), choices: requests.count)
    handedOver = true
    let writer = ChatCompletionWriter(
      identifier: Self.identifier("chatcmpl-"), model: model.identifier, created: ConversationStore.now(),
      probabilities: answer.likeliest.map { _ in ProbabilityWriter(tokenizer: model.tokenizer) })
    if answer.streams {
      let includesUsage = answer.includesUsage
      let count = requests.count
      return .events { [turn] events in
        await writer.write(stream, choices: count, to: events, includesUsage: includesUsage, turn)
      }
    }
    do {
      let answers = try await stream.collect()
      try await turn?.finish(answers[0])
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
  /// Where each message stands in a request of another API, for errors; `messages[0]` and so on without it.
  var places: [String] = []
  /// The conversation that the server holds, of which the messages are the newest.
  var session: String?
  var thinking: Bool?
  var reasoningEffort: String?
  var tools = ToolFields()

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
    session = try fields.string("session")
    if let session { try Self.checkSession(session) }
    if messages.last?["role"]?.string == "assistant" {
      let place = "messages[\(messages.count - 1)]"
      if messages.last?["tool_calls"]?.array?.isEmpty == false {
        throw .bad(place, "the last message calls a tool; what the tool gave is missing")
      }
      if session != nil { throw .bad(place, "the last message of a session's turn must not be an assistant's") }
    }
    try setEffort(fields.string("reasoning_effort"), at: "reasoning_effort")
    if var template = try fields.fields("chat_template_kwargs") {
      thinking = try template.bool("enable_thinking") ?? thinking
      try template.finish()
    }
    tools = try ToolFields.chat(&fields)
    try refuseOthers(&fields)
  }

  static func checkSession(_ name: String) throws(RequestError) {
    guard (1...128).contains(name.unicodeScalars.count) else {
      throw .bad("session", "'session' must have from 1 to 128 characters", code: "invalid_value")
    }
  }

  /// How much the model should think, in the words of OpenAI's APIs.
  mutating func setEffort(_ effort: String?, at place: String) throws(RequestError) {
    guard let effort else { return }
    guard Self.efforts.contains(effort) else {
      throw .bad(place, "'\(place)' must be one of \(Self.efforts.joined(separator: ", "))")
    }
    thinking = effort != "none"
    reasoningEffort = ["none", "minimal"].contains(effort) ? "low" : effort == "xhigh" ? "high" : effort
  }

  /// What is refused unless it asks for what is done anyway.
  private func refuseOthers(_ fields: inout RequestFields) throws(RequestError) {
    try fields.refuse(["modalities"]) { $0.array == ["text"] }
    try fields.refuse(["audio", "prediction", "web_search_options"])
    try fields.refuse(["verbosity"]) { $0.string == "medium" }
  }

  /// Whether the answer goes on with the text of the last message.
  var continuesMessage: Bool {
    guard messages.last?["role"]?.string == "assistant" else { return false }
    return messages.last?["content"].map { !$0.isNull && $0 != "" && $0 != [] } ?? false
  }

  /// Has an answer be calls where it must be.
  func constrain(_ answer: inout AnswerFields, _ model: ServedModel) throws(RequestError) {
    answer.constraint = try tools.constraint(beside: answer.constraint, model)
    guard answer.constraint != nil else { return }
    // The vocabulary's tree is made here, where no answer waits for it.
    _ = model.vocabulary.trie
    if continuesMessage {
      throw .bad("messages", "an assistant's message cannot go on as a format or a call")
    }
  }

  /// What may stand before an answer under a constraint.
  func lead(_ rendered: RenderedConversation, _ model: ServedModel) throws(RequestError) -> AnswerLead {
    // A call is a channel of its own.
    if tools.isForced, model.formats?.answer == .channels { return .none }
    return rendered.answerLead(try model.conversationTemplate())
  }

  /// How the answer to a prompt is read.
  func reader(
    _ rendered: RenderedConversation, _ answer: AnswerFields, _ model: ServedModel
  ) -> AnswerReader? {
    guard let formats = model.formats else { return nil }
    var calls = tools.reader(formats, isConstrained: answer.constraint != nil, streams: answer.streams)
    calls?.begin(after: String(decoding: rendered.prompt.bytes.suffix(16), as: UTF8.self))
    return AnswerReader(
      formats.answer, opensThought: rendered.opensThought, continuesAnswer: continuesMessage, calls: calls)
  }

  /// Where a request has what is called `messages[2].tool_calls[0]` here.
  private func place(_ name: String) -> String {
    guard let end = name.firstIndex(of: "]"), let index = Int(name[..<end].dropFirst("messages[".count)),
      places.indices.contains(index)
    else { return name }
    return places[index]
  }

  /// - Throws: `RequestError` that names the message which the template does not take.
  func render(
    _ messages: [JSONValue], _ model: ServedModel, owner: Int
  ) throws(RequestError) -> RenderedConversation {
    let template = try model.conversationTemplate(owner: owner)
    var messages = messages
    // An empty answer that is to go on is one that has yet to begin.
    if messages.last?["role"]?.string == "assistant", !continuesMessage { messages.removeLast() }
    var conversation = TemplateConversation(
      messages, tools: tools.told, ending: continuesMessage ? .continuation : .answer)
    (conversation.thinking, conversation.reasoningEffort) = (thinking, reasoningEffort)
    do {
      return try template.render(conversation)
    } catch {
      let place = error.kind == .messages && error.name.hasPrefix("messages") ? place(error.name) : "messages"
      throw .bad(place, error.kind == .messages ? "\(place): \(error.message)" : error.description)
    }
  }
}
