import Engine
import ModelJSON

/// Writes messages in Anthropic's form, whole or as its events.
struct MessageWriter: Sendable {
  let identifier: String
  let model: String
  let promptTokens: Int
  /// Whether the model's trained length ends the answer before its limit does.
  let isCutByContext: Bool

  func whole(_ answer: Answer) -> JSONValue {
    var content = answer.items.map { item -> JSONValue in
      switch item {
      case .thinking(let text): ["type": "thinking", "thinking": .string(text), "signature": ""]
      case .text(let text): ["type": "text", "text": .string(text)]
      case .call(let call): call.anthropicJSON
      }
    }
    if content.isEmpty { content = [["type": "text", "text": ""]] }
    return message(content, stop(answer), usage(answer.result))
  }

  private func message(_ content: [JSONValue], _ stop: (reason: JSONValue, text: JSONValue), _ usage: JSONValue)
    -> JSONValue
  {
    [
      "id": .string(identifier), "type": "message", "role": "assistant", "model": .string(model),
      "content": .array(content), "stop_reason": stop.reason, "stop_sequence": stop.text, "usage": usage,
    ]
  }

  private func stop(_ answer: Answer) -> (reason: JSONValue, text: JSONValue) {
    switch answer.result.finish {
    case .limit: (isCutByContext ? "model_context_window_exceeded" : "max_tokens", .null)
    case .stopString: ("stop_sequence", answer.result.stopString.map { .string($0) } ?? .null)
    case .endOfText, .cancelled: (answer.wholeCalls.isEmpty ? "end_turn" : "tool_use", .null)
    }
  }

  /// Tokens of the prompt that were read before are counted apart.
  private func usage(_ result: GenerationResult) -> JSONValue {
    [
      "input_tokens": JSONValue(promptTokens - result.cachedTokens), "output_tokens": JSONValue(result.answerTokens),
      "cache_read_input_tokens": JSONValue(result.cachedTokens), "cache_creation_input_tokens": 0,
      "evicted_tokens": JSONValue(result.evictedTokens),
    ]
  }

  func write(_ stream: AnswerStream, to events: EventWriter) async {
    defer { stream.cancel() }
    var blocks = BlockEvents(events: events)
    var answer = Answer()
    do {
      try await stream.forEach { _, event in
        answer.take(event)
        switch event {
        case .started(let cachedTokens):
          var result = GenerationResult()
          result.cachedTokens = cachedTokens
          let message = message([], (.null, .null), usage(result))
          try await events.send(["type": "message_start", "message": message], name: "message_start")
        case .text(let parts, _):
          var calls = answer.calls.suffix(parts.callCount)
          for part in parts { try await blocks.write(part, &calls) }
        case .ended(let result):
          try await blocks.finish()
          let (reason, text) = stop(answer)
          try await events.send(
            [
              "type": "message_delta", "delta": ["stop_reason": reason, "stop_sequence": text],
              "usage": usage(result),
            ], name: "message_delta")
          try await events.send(["type": "message_stop"], name: "message_stop")
        case .silence: try await events.sendComment()
        case .failed: break
        }
      }
    } catch {
      if let error = error as? RequestError { try? await events.send(error.anthropicJSON, name: "error") }
    }
  }
}

/// The blocks of a message: thoughts, text and calls, each opened and closed once, one after another.
private struct BlockEvents {
  private enum Kind { case thinking, text, call }

  let events: EventWriter
  private var open: Kind?
  private var index = 0

  init(events: EventWriter) { self.events = events }

  /// - Parameter calls: the calls among the parts that are still to be written
  mutating func write(_ part: AnswerReader.Part, _ calls: inout ArraySlice<Answer.Call>) async throws {
    switch part {
    case .thinking(let text):
      try await begin(.thinking, ["type": "thinking", "thinking": "", "signature": ""])
      try await send("content_block_delta", ["delta": ["type": "thinking_delta", "thinking": .string(text)]])
    case .answer(let text):
      try await begin(.text, ["type": "text", "text": ""])
      try await send("content_block_delta", ["delta": ["type": "text_delta", "text": .string(text)]])
    case .call(let call):
      try await begin(calls.popFirst())
      for piece in call.arguments.pieces { try await sendArguments(piece) }
    case .beginsCall: try await begin(calls.popFirst())
    case .arguments(let text): try await sendArguments(text)
    case .endsCall: break
    }
  }

  private mutating func begin(_ call: Answer.Call?) async throws {
    guard let call else { return assertionFailure("a call that the answer does not have") }
    var block = call.anthropicJSON.members
    block["input"] = [:]
    try await end()
    try await begin(.call, .object(block))
  }

  private func sendArguments(_ text: String) async throws {
    let delta: JSONValue = ["type": "input_json_delta", "partial_json": .string(text)]
    try await send("content_block_delta", ["delta": delta])
  }

  /// Closes the block that is open; a message without text has one empty block.
  mutating func finish() async throws {
    if open == nil, index == 0 { try await begin(.text, ["type": "text", "text": ""]) }
    try await end()
  }

  private mutating func begin(_ kind: Kind, _ block: JSONValue) async throws {
    guard open != kind else { return }
    try await end()
    open = kind
    try await send("content_block_start", ["content_block": block])
  }

  private mutating func end() async throws {
    guard open != nil else { return }
    try await send("content_block_stop", [:])
    open = nil
    index += 1
  }

  private func send(_ type: String, _ more: JSONValue) async throws {
    var members = JSONObject()
    members["type"] = .string(type)
    members["index"] = JSONValue(index)
    for (name, value) in more.members { members[name] = value }
    try await events.send(.object(members), name: type)
  }
}
