import Engine
import ModelJSON

/// Writes responses in OpenAI's newer form, whole or as their events.
struct ResponseWriter: Sendable {
  let identifier: String
  let model: String
  let created: Int
  let promptTokens: Int
  /// What is said again of the request.
  let echo: JSONObject
  /// Nil where no probabilities were asked for.
  let probabilities: ProbabilityWriter?
  /// Gets the response once it is finished.
  let keep: @Sendable (_ object: JSONValue, _ output: ResponseOutput) async -> Void

  func whole(_ stream: AnswerStream) async throws -> JSONValue {
    var output = ResponseOutput()
    var result = GenerationResult()
    try await stream.forEach { _, event in
      switch event {
      case .text(let parts, let noted): _ = output.take(parts, noted)
      case .ended(let ended): result = ended
      case .started, .failed, .silence: break
      }
    }
    _ = output.finish(isCut: result.finish == .limit)
    let object = object(output, result)
    await keep(object, output)
    return object
  }

  /// Writes the events of a response while it comes; an error after the first is two events, of which one ends clients of
  /// either kind.
  func write(_ stream: AnswerStream, to events: EventWriter) async {
    defer { stream.cancel() }
    var events = ResponseEvents(events: events, writer: probabilities)
    var output = ResponseOutput()
    do {
      try await events.send("response.created", ["response": object(status: "in_progress")])
      try await stream.forEach { _, event in
        switch event {
        case .started: try await events.send("response.in_progress", ["response": object(status: "in_progress")])
        case .text(let parts, let noted):
          for change in output.take(parts, noted) { try await events.send(change, output) }
        case .ended(let result):
          for change in output.finish(isCut: result.finish == .limit) { try await events.send(change, output) }
          let object = object(output, result)
          await keep(object, output)
          try await events.send("response.\(object["status"]?.string ?? "")", ["response": object])
        case .silence: try await events.sendComment()
        case .failed: break
        }
      }
    } catch {
      guard let error = error as? RequestError else { return }
      let code = JSONValue.string(error.code ?? "server_error")
      let failure: JSONValue = ["code": "server_error", "message": .string(error.message)]
      try? await events.send(
        "response.failed", ["response": object(status: "failed", output: output.items, error: failure)])
      try? await events.send("error", ["code": code, "message": .string(error.message), "param": .null])
    }
  }

  private func object(_ output: ResponseOutput, _ result: GenerationResult) -> JSONValue {
    let isCut = result.finish == .limit
    return object(
      status: isCut ? "incomplete" : "completed", output: output.items, usage: usage(result),
      incomplete: isCut ? ["reason": "max_output_tokens"] : .null)
  }

  private func object(
    status: String, output: [ResponseOutput.Item] = [], usage: JSONValue = .null, incomplete: JSONValue = .null,
    error: JSONValue = .null
  ) -> JSONValue {
    let head: JSONValue = [
      "id": .string(identifier), "object": "response", "created_at": JSONValue(created), "status": .string(status),
      "model": .string(model), "output": .array(output.map { $0.json(probabilities) }), "error": error,
      "incomplete_details": incomplete, "usage": usage,
    ]
    var members = head.members
    for (name, value) in echo { members[name] = value }
    return .object(members)
  }

  /// All that is read goes into the conversation's memory, so what was not there before counts as written.
  private func usage(_ result: GenerationResult) -> JSONValue {
    [
      "input_tokens": JSONValue(promptTokens),
      "input_tokens_details": [
        "cached_tokens": JSONValue(result.cachedTokens),
        "cache_write_tokens": JSONValue(promptTokens - result.cachedTokens),
      ],
      "output_tokens": JSONValue(result.answerTokens),
      "output_tokens_details": ["reasoning_tokens": JSONValue(result.thinkingTokens)],
      "total_tokens": JSONValue(promptTokens + result.answerTokens),
      "evicted_tokens": JSONValue(result.evictedTokens),
    ]
  }
}

/// The events of one response, numbered.
private struct ResponseEvents {
  let events: EventWriter
  let writer: ProbabilityWriter?
  private var number = 0

  init(events: EventWriter, writer: ProbabilityWriter?) { (self.events, self.writer) = (events, writer) }

  func sendComment() async throws { try await events.sendComment() }

  mutating func send(_ type: String, _ more: JSONValue) async throws {
    var members = JSONObject()
    members["type"] = .string(type)
    members["sequence_number"] = JSONValue(number)
    number += 1
    for (name, value) in more.members { members[name] = value }
    try await events.send(.object(members), name: type)
  }

  mutating func send(_ change: ResponseOutput.Change, _ output: ResponseOutput) async throws {
    switch change {
    case .opened(let index):
      var item = output.items[index]
      (item.status, item.text, item.probabilities) = ("in_progress", "", [])
      try await send("response.output_item.added", at: index, nil, ["item": item.json(writer)])
      if let part = item.part(writer) {
        try await send("response.content_part.added", at: index, item, ["content_index": 0, "part": part])
      }
    case .grew(let index, let text, let noted):
      let item = output.items[index]
      switch item.kind {
      case .reasoning:
        try await send(
          "response.reasoning_text.delta", at: index, item, ["content_index": 0, "delta": .string(text)])
      case .message:
        try await send(
          "response.output_text.delta", at: index, item,
          ["content_index": 0, "delta": .string(text), "logprobs": writer?.response(noted) ?? []])
      case .call:
        try await send("response.function_call_arguments.delta", at: index, item, ["delta": .string(text)])
      }
    case .closed(let index): try await close(output.items[index], at: index)
    }
  }

  private mutating func close(_ item: ResponseOutput.Item, at index: Int) async throws {
    switch item.kind {
    case .reasoning:
      try await send(
        "response.reasoning_text.done", at: index, item, ["content_index": 0, "text": .string(item.text)])
    case .message:
      try await send(
        "response.output_text.done", at: index, item,
        ["content_index": 0, "text": .string(item.text), "logprobs": writer?.response(item.probabilities) ?? []])
    case .call(let name, _):
      try await send(
        "response.function_call_arguments.done", at: index, item,
        ["name": .string(name), "arguments": .string(item.text)])
    }
    if let part = item.part(writer) {
      try await send("response.content_part.done", at: index, item, ["content_index": 0, "part": part])
    }
    try await send("response.output_item.done", at: index, nil, ["item": item.json(writer)])
  }

  /// - Parameter item: the one that the event names, where it does not have all of it
  private mutating func send(
    _ type: String, at index: Int, _ item: ResponseOutput.Item?, _ more: JSONValue
  ) async throws {
    var members = JSONObject()
    if let item { members["item_id"] = .string(item.identifier) }
    members["output_index"] = JSONValue(index)
    for (name, value) in more.members { members[name] = value }
    try await send(type, .object(members))
  }
}
