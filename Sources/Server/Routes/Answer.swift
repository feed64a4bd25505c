import Engine
import ModelJSON

/// An answer as far as it has come.
struct Answer: Sendable {
  enum Item: Sendable, Hashable {
    case thinking(String)
    case text(String)
    case call(Call)
  }

  /// A call of a tool, with a name by which its result will speak of it.
  struct Call: Sendable, Hashable {
    /// Without the prefix that each API has.
    let identifier: String
    let name: String
    var arguments: String
    /// Whether its arguments are all there; they are no JSON where the model broke off.
    var isWhole = true
  }

  /// What it consists of, in order.
  private(set) var items: [Item] = []
  /// Those of the text's tokens, where they were asked for.
  private(set) var probabilities: [TokenProbability] = []
  private(set) var result = GenerationResult()

  var text: String { items.reduce(into: "") { if case .text(let text) = $1 { $0 += text } } }
  var thinking: String { items.reduce(into: "") { if case .thinking(let text) = $1 { $0 += text } } }
  var calls: [Call] { items.compactMap { if case .call(let call) = $0 { call } else { nil } } }
  /// The calls that can be made.
  var wholeCalls: [Call] { calls.filter(\.isWhole) }

  mutating func take(_ event: GenerationEvent) {
    switch event {
    case .text(let parts, let probabilities):
      for part in parts { take(part) }
      self.probabilities += probabilities
    case .ended(let result): self.result = result
    case .started, .failed, .silence: break
    }
  }

  private mutating func take(_ part: AnswerReader.Part) {
    switch (part, items.last) {
    case (.answer(let text), .text(let before)?): items[items.count - 1] = .text(before + text)
    case (.answer(let text), _): items.append(.text(text))
    case (.thinking(let text), .thinking(let before)?): items[items.count - 1] = .thinking(before + text)
    case (.thinking(let text), _): items.append(.thinking(text))
    case (.call(let call), _):
      items.append(.call(Call(identifier: Routes.identifier(""), name: call.name, arguments: call.arguments)))
    case (.beginsCall(let name), _):
      items.append(.call(Call(identifier: Routes.identifier(""), name: name, arguments: "", isWhole: false)))
    case (.arguments(let text), .call(var call)?):
      call.arguments += text
      items[items.count - 1] = .call(call)
    case (.endsCall(let isWhole), .call(var call)?):
      call.isWhole = isWhole
      items[items.count - 1] = .call(call)
    case (.arguments, _), (.endsCall, _): assertionFailure("arguments without a call")
    }
  }

  /// Why it ended, as OpenAI's chat API calls it; one that was cut is cut, whatever it called before.
  var openAIFinish: JSONValue {
    result.finish == .limit ? "length" : wholeCalls.isEmpty ? "stop" : "tool_calls"
  }

  /// The message of a conversation in OpenAI's form; an answer of calls alone has no content. A call that broke off is none.
  var message: JSONObject {
    var message = JSONObject()
    let calls = wholeCalls
    message["role"] = "assistant"
    message["content"] = text.isEmpty && !calls.isEmpty ? .null : .string(text)
    if !thinking.isEmpty { message["reasoning_content"] = .string(thinking) }
    if !calls.isEmpty { message["tool_calls"] = .array(calls.map(\.openAIJSON)) }
    return message
  }
}

extension Answer.Call {
  var openAIIdentifier: String { "call_" + identifier }

  /// As it stands in a message.
  var openAIJSON: JSONValue {
    [
      "id": .string(openAIIdentifier), "type": "function",
      "function": ["name": .string(name), "arguments": .string(arguments)],
    ]
  }

  /// As a block of Anthropic's.
  var anthropicJSON: JSONValue {
    [
      "type": "tool_use", "id": .string("toolu_" + identifier), "name": .string(name),
      "input": (try? JSONValue(parsing: arguments)) ?? [:],
    ]
  }
}

extension [AnswerReader.Part] {
  /// The calls that begin with these parts.
  var callCount: Int {
    count {
      switch $0 {
      case .call, .beginsCall: true
      case .thinking, .answer, .arguments, .endsCall: false
      }
    }
  }
}

extension String {
  /// The text in pieces of a few dozen characters, as clients expect arguments to come.
  var pieces: [String] {
    var (pieces, rest) = ([String](), self[...])
    while !rest.isEmpty {
      pieces.append(String(rest.prefix(64)))
      rest = rest.dropFirst(64)
    }
    return pieces
  }
}
