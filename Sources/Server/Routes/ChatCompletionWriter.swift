import Engine
import ModelJSON

/// Writes chat completions in OpenAI's form, whole or in chunks.
struct ChatCompletionWriter: Sendable {
  let identifier: String
  let model: String
  let created: Int
  /// Nil where no probabilities were asked for.
  let probabilities: ProbabilityWriter?

  func whole(_ answers: [Answer]) -> JSONValue {
    let choices = answers.enumerated().map { index, answer -> JSONValue in
      var message = answer.message
      message["refusal"] = .null
      return [
        "index": JSONValue(index), "message": .object(message),
        "logprobs": probabilities?.chat(answer.probabilities) ?? .null,
        "finish_reason": answer.openAIFinish,
      ]
    }
    var members = head("chat.completion")
    members["choices"] = .array(choices)
    members["usage"] = answers.map(\.result).usage()
    return .object(members)
  }

  /// Writes an answer while it comes, and notes it in the conversation that the server holds.
  ///
  /// An error after the first byte is an event, and the stream ends without `[DONE]`.
  func write(
    _ stream: AnswerStream, choices: Int, to events: EventWriter, includesUsage: Bool, _ turn: ConversationTurn?
  ) async {
    defer { stream.cancel() }
    var answers = [Answer](repeating: Answer(), count: choices)
    do {
      for choice in 0..<choices {
        try await events.send(chunk(choice, ["role": "assistant", "content": ""], includesUsage))
      }
      try await stream.forEach { choice, event in
        answers[choice].take(event)
        switch event {
        case .text(let parts, let noted):
          var call = answers[choice].calls.count - parts.callCount
          // All of them go with the text that comes first, so that each is told once.
          var logarithms = probabilities.map { $0.chat(noted) }
          for part in parts {
            for delta in deltas(part, answers[choice].calls, &call) {
              let isText = delta["content"] != nil
              try await events.send(chunk(choice, delta, includesUsage, isText ? logarithms ?? .null : .null))
              if isText { logarithms = nil }
            }
          }
        case .ended:
          try await events.send(chunk(choice, [:], includesUsage, finish: answers[choice].openAIFinish))
        case .silence: try await events.sendComment()
        case .started, .failed: break
        }
      }
      try await turn?.finish(answers[0])
      if includesUsage {
        var members = head("chat.completion.chunk")
        members["choices"] = []
        members["usage"] = answers.map(\.result).usage()
        try await events.send(.object(members))
      }
      try await events.sendDone()
    } catch {
      turn?.abandon()
      if let error = error as? RequestError { try? await events.send(error.json) }
    }
  }

  /// What is new with a part; a call says first who is called, then with what.
  ///
  /// - Parameter next: the number of the next call
  private func deltas(_ part: AnswerReader.Part, _ calls: [Answer.Call], _ next: inout Int) -> [JSONValue] {
    switch part {
    case .answer(let text): return [["content": .string(text)]]
    case .thinking(let text): return [["reasoning_content": .string(text)]]
    case .call(let call):
      defer { next += 1 }
      return [Self.beginning(calls[next], next)] + call.arguments.pieces.map { Self.delta($0, next) }
    case .beginsCall:
      defer { next += 1 }
      return [Self.beginning(calls[next], next)]
    case .arguments(let text): return [Self.delta(text, next - 1)]
    case .endsCall: return []
    }
  }

  private static func beginning(_ call: Answer.Call, _ index: Int) -> JSONValue {
    let beginning: JSONValue = [
      "index": JSONValue(index), "id": .string(call.openAIIdentifier), "type": "function",
      "function": ["name": .string(call.name), "arguments": ""],
    ]
    return ["tool_calls": [beginning]]
  }

  /// More of the arguments of a call.
  private static func delta(_ arguments: String, _ index: Int) -> JSONValue {
    ["tool_calls": [["index": JSONValue(index), "function": ["arguments": .string(arguments)]]]]
  }

  private func chunk(
    _ choice: Int, _ delta: JSONValue, _ includesUsage: Bool, _ logarithms: JSONValue = .null,
    finish: JSONValue = .null
  ) -> JSONValue {
    var members = head("chat.completion.chunk")
    members["choices"] = [
      ["index": JSONValue(choice), "delta": delta, "logprobs": logarithms, "finish_reason": finish]
    ]
    if includesUsage { members["usage"] = .null }
    return .object(members)
  }

  private func head(_ object: String) -> JSONObject {
    let head: JSONValue = [
      "id": .string(identifier), "object": .string(object), "created": JSONValue(created), "model": .string(model),
    ]
    return head.members
  }
}

extension JSONValue {
  /// The members of what was written as an object.
  var members: JSONObject { object ?? JSONObject() }
}
