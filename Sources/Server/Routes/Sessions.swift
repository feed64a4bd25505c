import ChatTemplates
import Engine
import KVCaches
import ModelJSON
import Tokenizers

/// `/v1/sessions/NAME`: what the server holds of a conversation (`session`), and what its memory holds of the stream.
extension Routes {
  /// `GET …/memory`: which places of the stream each stage holds now, bytes, and what was let go.
  ///
  /// A name that nobody has used is that of an empty conversation.
  func sessionMemory(_ name: String, owner: Int) async throws -> HTTPResponse {
    let memory = await scheduler.look { $0.memory(of: name, owner: owner) }
    let messages = conversations.messageCount(name, owner: owner)
    return .json(Self.describe(memory, session: name, messages: messages))
  }

  /// `GET …/tokens`: the text of each token of the stream, by its place.
  ///
  /// Of a character that several tokens share all but the last one have an empty text.
  func sessionTokens(_ name: String, owner: Int) async throws -> HTTPResponse {
    let tokens = await scheduler.look { $0.tokens(of: name, owner: owner) } ?? []
    var decoder = IncrementalDecoder(model.tokenizer, skipsSpecial: false)
    let texts = tokens.map { JSONValue.string(decoder.append($0)) }
    return .json(["object": "session.tokens", "session": .string(name), "texts": .array(texts)])
  }

  /// `POST …/memory`: reads a held conversation anew under another cache, so that one sees what that keeps of it.
  func readSession(_ name: String, _ body: JSONValue, owner: Int) async throws -> HTTPResponse {
    var fields = try RequestFields(body)
    var answer = AnswerFields(model)
    (answer.limit, answer.sampling) = (0, .greedy)
    if let spec = try fields.string("cache") { answer.plan = try answer.named(spec) }
    try fields.finish()
    let turn = try await conversations.begin(name, owner: owner, adding: [])
    defer { turn.abandon() }
    guard !turn.messages.isEmpty else {
      throw RequestError(
        status: 404, code: "session_not_found", parameter: "session", message: "nothing has been said in this session")
    }
    let rendered: RenderedConversation
    do {
      rendered = try model.conversationTemplate(owner: owner).render(
        TemplateConversation(turn.messages, ending: .none))
    } catch let error as TemplateError {
      throw RequestError.bad("session", error.description)
    }
    let request = try answer.request(
      .text(rendered), owner: owner, reader: nil, choice: 0, session: name, model)
    _ = try await AnswerStream(try scheduler.submit([request]), choices: 1).collect()
    return try await sessionMemory(name, owner: owner)
  }

  private static func describe(_ memory: SessionMemory?, session: String, messages: Int) -> JSONValue {
    var members = JSONObject()
    members["object"] = "session.memory"
    members["session"] = .string(session)
    members["messages"] = JSONValue(messages)
    guard let memory else {
      members["state"] = messages > 0 ? "released" : "empty"
      return .object(members)
    }
    members["state"] = memory.isInUse ? "answering" : "resting"
    members["cache"] = .string(memory.plan.description)
    members["cache_type"] = .string(memory.slotType.rawValue)
    members["bytes"] = JSONValue(memory.bytes)
    members["tokens"] = JSONValue(memory.readTokens)
    members["waiting_tokens"] = JSONValue(memory.waitingTokens)
    members["held_tokens"] = JSONValue(memory.heldTokens)
    members["evicted_tokens"] = JSONValue(max(0, memory.readTokens - memory.heldTokens))
    members["groups"] = memory.groups.map { .array($0.map(\.json)) } ?? .null
    return .object(members)
  }
}

extension HeldTokens {
  fileprivate var json: JSONValue {
    let stages = zip(stages, runs()).map { stage, runs -> JSONValue in
      ["stage": .string(stage.name), "melts": JSONValue(stage.absorbs), "runs": .array(runs.map(\.json))]
    }
    return ["heads": JSONValue(heads), "stages": .array(stages)]
  }
}

extension HeldTokens.Run {
  /// The first token, one past the last, and the share of heads that hold them.
  fileprivate var json: JSONValue {
    [JSONValue(tokens.lowerBound), JSONValue(tokens.upperBound), JSONValue((share * 1000).rounded() / 1000)]
  }
}
