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
    var content: [JSONValue] = []
    if !answer.thinking.isEmpty {
      content.append(["type": "thinking", "thinking": .string(answer.thinking), "signature": ""])
    }
    if !answer.text.isEmpty || content.isEmpty { content.append(["type": "text", "text": .string(answer.text)]) }
    return message(content, stop(answer.result), usage(answer.result))
  }

  private func message(_ content: [JSONValue], _ stop: (reason: JSONValue, text: JSONValue), _ usage: JSONValue)
    -> JSONValue
  {
    [
      "id": .string(identifier), "type": "message", "role": "assistant", "model": .string(model),
      "content": .array(content), "stop_reason": stop.reason, "stop_sequence": stop.text, "usage": usage,
    ]
  }

  private func stop(_ result: GenerationResult) -> (reason: JSONValue, text: JSONValue) {
    switch result.finish {
    case .limit: (isCutByContext ? "model_context_window_exceeded" : "max_tokens", .null)
    case .stopString: ("stop_sequence", result.stopString.map { .string($0) } ?? .null)
    case .endOfText, .cancelled: ("end_turn", .null)
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
    do {
      try await stream.forEach { _, event in
        switch event {
        case .started(let cachedTokens):
          var result = GenerationResult()
          result.cachedTokens = cachedTokens
          let message = message([], (.null, .null), usage(result))
          try await events.send(["type": "message_start", "message": message], name: "message_start")
        case .text(let parts):
          for part in parts { try await blocks.write(part) }
        case .ended(let result):
          try await blocks.finish()
          let (reason, text) = stop(result)
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

/// The blocks of a message: thoughts, then text, each opened and closed once.
private struct BlockEvents {
  private enum Kind { case thinking, text }

  let events: EventWriter
  private var open: Kind?
  private var index = 0

  init(events: EventWriter) { self.events = events }

  mutating func write(_ part: AnswerReader.Part) async throws {
    let delta: JSONValue
    switch part {
    case .thinking(let text):
      try await begin(.thinking)
      delta = ["type": "thinking_delta", "thinking": .string(text)]
    case .answer(let text):
      try await begin(.text)
      delta = ["type": "text_delta", "text": .string(text)]
    }
    try await send("content_block_delta", ["delta": delta])
  }

  /// Closes the block that is open; a message without text has one empty block.
  mutating func finish() async throws {
    if open == nil { try await begin(.text) }
    try await end()
  }

  private mutating func begin(_ kind: Kind) async throws {
    guard open != kind else { return }
    try await end()
    open = kind
    let block: JSONValue =
      kind == .thinking ? ["type": "thinking", "thinking": "", "signature": ""] : ["type": "text", "text": ""]
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
