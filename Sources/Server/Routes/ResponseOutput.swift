import Engine
import ModelJSON

/// The items of a response as they grow: thoughts, messages and calls, one open at a time.
struct ResponseOutput: Sendable {
  enum Kind: Sendable, Hashable {
    case reasoning
    case message
    case call(name: String, identifier: String)
  }

  struct Item: Sendable {
    let identifier: String
    let kind: Kind
    /// A thought, what is said, or the arguments of a call.
    var text = ""
    var probabilities: [TokenProbability] = []
    var status = "in_progress"
  }

  /// What happened to the item at an index.
  enum Change: Sendable, Hashable {
    case opened(Int)
    case grew(Int, text: String, [TokenProbability])
    case closed(Int)
  }

  private(set) var items: [Item] = []

  /// Takes in what is new of an answer.
  mutating func take(_ parts: [AnswerReader.Part], _ probabilities: [TokenProbability]) -> [Change] {
    var changes: [Change] = []
    var probabilities = probabilities
    for part in parts {
      switch part {
      case .thinking(let text):
        changes += open(.reasoning) + grow(text, [])
      case .answer(let text):
        changes += open(.message) + grow(text, probabilities)
        probabilities = []
      case .call(let call):
        changes += open(.call(name: call.name, identifier: "call_" + Routes.identifier("")))
        for piece in call.arguments.pieces { changes += grow(piece, []) }
        changes += close()
      case .beginsCall(let name): changes += open(.call(name: name, identifier: "call_" + Routes.identifier("")))
      case .arguments(let text): changes += grow(text, [])
      case .endsCall(let isWhole): changes += close(isWhole ? "completed" : "incomplete")
      }
    }
    return changes
  }

  /// Closes what is open; an answer without anything is an empty message.
  mutating func finish(isCut: Bool) -> [Change] {
    var changes: [Change] = []
    if items.isEmpty { changes += open(.message) }
    return changes + close(isCut ? "incomplete" : "completed")
  }

  private mutating func open(_ kind: Kind) -> [Change] {
    if let last = items.last, last.status == "in_progress" {
      if last.kind == kind { return [] }
      return close() + open(kind)
    }
    let prefix =
      switch kind {
      case .reasoning: "rs_"
      case .message: "msg_"
      case .call: "fc_"
      }
    items.append(Item(identifier: Routes.identifier(prefix), kind: kind))
    return [.opened(items.count - 1)]
  }

  private mutating func grow(_ text: String, _ probabilities: [TokenProbability]) -> [Change] {
    let index = items.count - 1
    items[index].text += text
    items[index].probabilities += probabilities
    return [.grew(index, text: text, probabilities)]
  }

  private mutating func close(_ status: String = "completed") -> [Change] {
    guard let last = items.last, last.status == "in_progress" else { return [] }
    items[items.count - 1].status = status
    return [.closed(items.count - 1)]
  }

  /// The items as a message of OpenAI's chat API, for the requests that go on from here.
  var message: JSONValue {
    var message = JSONObject()
    message["role"] = "assistant"
    let text = { (kind: Kind) in items.filter { $0.kind == kind }.map(\.text).joined() }
    message["content"] = .string(text(.message))
    let thoughts = text(.reasoning)
    if !thoughts.isEmpty { message["reasoning_content"] = .string(thoughts) }
    let calls = items.compactMap { item -> JSONValue? in
      // One that broke off cannot be told to the model again.
      guard case .call(let name, let identifier) = item.kind, item.status == "completed" else { return nil }
      return [
        "id": .string(identifier), "type": "function",
        "function": ["name": .string(name), "arguments": .string(item.text)],
      ]
    }
    if !calls.isEmpty { message["tool_calls"] = .array(calls) }
    return .object(message)
  }
}

extension ResponseOutput.Item {
  /// The item in the API's form; one that has just been opened has no content yet.
  func json(_ writer: ProbabilityWriter?) -> JSONValue {
    let isNew = status == "in_progress"
    let content: JSONValue = isNew ? [] : [part(writer)].compactMap { $0 }.asArray
    switch kind {
    case .reasoning:
      return [
        "id": .string(identifier), "type": "reasoning", "summary": [], "content": content, "status": .string(status),
      ]
    case .message:
      return [
        "id": .string(identifier), "type": "message", "role": "assistant", "content": content,
        "status": .string(status),
      ]
    case .call(let name, let call):
      return [
        "id": .string(identifier), "type": "function_call", "call_id": .string(call), "name": .string(name),
        "arguments": .string(isNew ? "" : text), "status": .string(status),
      ]
    }
  }

  /// Its content as it stands; nil for a call, which has none.
  func part(_ writer: ProbabilityWriter?) -> JSONValue? {
    switch kind {
    case .reasoning: ["type": "reasoning_text", "text": .string(text)]
    case .message:
      [
        "type": "output_text", "text": .string(text), "annotations": [],
        "logprobs": writer?.response(probabilities) ?? [],
      ]
    case .call: nil
    }
  }
}

extension [JSONValue] {
  fileprivate var asArray: JSONValue { .array(self) }
}
