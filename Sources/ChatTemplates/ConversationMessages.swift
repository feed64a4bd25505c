package import ModelJSON

/// Messages as servers are given them, brought into the form that a template takes.
///
/// - `content` in parts becomes one text, a line a part; a part that is no text is an error.
/// - `arguments` of a call become an object, or text for the templates that write them down as they are; text that is no
///   JSON of an object is an error that names the call.
/// - Identifiers of calls become nine digits, in their order, where the template needs identifiers of nine characters.
/// - What a template does not know of tools is written as text (`ToolText`): their description, calls, results. Several calls
///   become messages of their own, each with its result, where a message may have one only.
/// - `developer` becomes `system` where the template does not know it.
/// - A system message after the first turn joins the first one where the template would refuse or drop it; where it takes
///   no system message at all, its text stands before that of the first user message.
/// - Messages of one role in a row become one, with an empty line between, where the template needs alternation.
///
/// What a template does is asked of `TemplateTraits`; messages that need no change keep every member.
package struct ConversationMessages: Sendable {
  package private(set) var messages: [JSONValue]

  /// - Parameter tools: those that may be called, as OpenAI's API describes them
  /// - Throws: `TemplateError` of kind `messages`, which names the message by its number from 0.
  package init(
    _ messages: [JSONValue], for traits: TemplateTraits, tools: [JSONValue] = []
  ) throws(TemplateError) {
    var prepared: [JSONObject] = []
    for (index, message) in messages.enumerated() {
      prepared.append(try Self.prepared(message, at: "messages[\(index)]", traits))
    }
    prepared = Self.withResultNames(prepared)
    if traits.needsSingleCalls { prepared = Self.withSingleCalls(prepared) }
    prepared = ToolText(traits, tools: tools).applied(to: prepared)
    if traits.needsShortIdentifiers { prepared = Self.withShortIdentifiers(prepared) }
    prepared = Self.withSystemPlaced(prepared, traits)
    if traits.needsAlternation { prepared = Self.alternating(prepared) }
    self.messages = prepared.map { .object($0) }
  }

  private static func failure(_ place: String, _ message: String) -> TemplateError {
    var error = TemplateError(.messages, message)
    error.name = place
    return error
  }

  private static func prepared(
    _ message: JSONValue, at place: String, _ traits: TemplateTraits
  ) throws(TemplateError) -> JSONObject {
    guard var object = message.object else { throw failure(place, "a message must be an object, not \(message.kind)") }
    guard let role = object["role"]?.string else { throw failure(place, "a message must have a role") }
    if role == "developer", !traits.acceptsDeveloper { object["role"] = "system" }
    switch object["content"] {
    case .array(let parts)?: object["content"] = JSONValue(try text(of: parts, at: place))
    case .string?: break
    case .null?, nil: object["content"] = ""
    case let other?: throw failure(place, "content must be text or a list of parts, not \(other.kind)")
    }
    if let calls = object["tool_calls"], !calls.isNull {
      guard let calls = calls.array else { throw failure(place, "tool_calls must be a list, not \(calls.kind)") }
      var preparedCalls: [JSONValue] = []
      for (index, call) in calls.enumerated() {
        preparedCalls.append(try Self.call(call, at: "\(place).tool_calls[\(index)]", traits))
      }
      object["tool_calls"] = .array(preparedCalls)
      if traits.needsNullContent, object["content"]?.string?.isEmpty ?? false { object["content"] = .null }
    }
    return object
  }

  private static func text(of parts: [JSONValue], at place: String) throws(TemplateError) -> String {
    var texts: [String] = []
    for (index, part) in parts.enumerated() {
      if let text = part.string ?? (part["type"]?.string == "text" || part["type"] == nil ? part["text"]?.string : nil)
      {
        texts.append(text)
      } else {
        let kind = part["type"]?.string.map { "of type '\($0)'" } ?? part.kind
        throw failure("\(place).content[\(index)]", "only parts of text can be read, not one that is \(kind)")
      }
    }
    return texts.joined(separator: "\n")
  }

  private static func call(
    _ call: JSONValue, at place: String, _ traits: TemplateTraits
  ) throws(TemplateError) -> JSONValue {
    guard var object = call.object else { throw failure(place, "a call must be an object, not \(call.kind)") }
    guard var function = object["function"]?.object else { throw failure(place, "a call must have a function") }
    guard let name = function["name"]?.string else { throw failure(place, "a call must have the name of a function") }
    let given = function["arguments"] ?? .null
    var arguments = given
    switch given {
    case .null: arguments = [:]
    case .object: break
    case .string(let text):
      let isEmpty = text.unicodeScalars.allSatisfy { PythonScalars.isSpace($0.value) }
      do {
        arguments = isEmpty ? [:] : try JSONValue(parsing: text)
      } catch {
        throw failure(place, "the arguments of '\(name)' are no JSON: \(error.description)")
      }
      guard arguments.object != nil else {
        throw failure(place, "the arguments of '\(name)' must be an object, not \(arguments.kind)")
      }
    default: throw failure(place, "the arguments of '\(name)' must be an object, not \(given.kind)")
    }
    if traits.needsTextArguments {
      function["arguments"] = JSONValue(given.string ?? arguments.text)
    } else {
      function["arguments"] = arguments
    }
    if object["type"] == nil { object["type"] = "function" }
    object["function"] = .object(function)
    return .object(object)
  }

  private static func withShortIdentifiers(_ messages: [JSONObject]) -> [JSONObject] {
    var numbers = JSONObject()
    let short = { (identifier: JSONValue) -> JSONValue in
      guard let text = identifier.string, text.unicodeScalars.count != 9 else { return identifier }
      if let number = numbers[text] { return number }
      let digits = String(numbers.count)
      let number = JSONValue(String(repeating: "0", count: max(0, 9 - digits.utf8.count)) + digits)
      numbers[text] = number
      return number
    }
    return messages.map { message in
      var message = message
      if let identifier = message["tool_call_id"] { message["tool_call_id"] = short(identifier) }
      if let calls = message["tool_calls"]?.array {
        message["tool_calls"] = .array(
          calls.map { call in
            guard var object = call.object, let identifier = object["id"] else { return call }
            object["id"] = short(identifier)
            return .object(object)
          })
      }
      return message
    }
  }

  private static func isSystem(_ message: JSONObject) -> Bool {
    message["role"]?.string == "system" || message["role"]?.string == "developer"
  }

  private static func withSystemPlaced(_ messages: [JSONObject], _ traits: TemplateTraits) -> [JSONObject] {
    let first = messages.first.map(isSystem) ?? false
    let later = messages.dropFirst(first ? 1 : 0).contains(where: isSystem)
    let takesFirst = traits.acceptsSystem
    guard (first && !takesFirst) || (later && !(traits.acceptsLaterSystem && takesFirst)) else { return messages }
    let instructions = messages.filter(isSystem).compactMap { $0["content"]?.string }.filter { !$0.isEmpty }
      .joined(separator: "\n\n")
    var rest = messages.filter { !isSystem($0) }
    if instructions.isEmpty { return rest }
    if takesFirst {
      var system = messages.first(where: isSystem) ?? JSONObject()
      system["content"] = JSONValue(instructions)
      return [system] + rest
    }
    if let index = rest.firstIndex(where: { $0["role"]?.string == "user" }) {
      let content = rest[index]["content"]?.string ?? ""
      rest[index]["content"] = JSONValue(content.isEmpty ? instructions : instructions + "\n\n" + content)
      return rest
    }
    var user = JSONObject()
    user["role"] = "user"
    user["content"] = JSONValue(instructions)
    return [user] + rest
  }

  private static func alternating(_ messages: [JSONObject]) -> [JSONObject] {
    var result: [JSONObject] = []
    for message in messages {
      let role = message["role"]?.string
      guard let last = result.last, last["role"]?.string == role, role == "user" || role == "assistant",
        last["tool_calls"] == nil, message["tool_calls"] == nil
      else {
        result.append(message)
        continue
      }
      let texts = [last, message].compactMap { $0["content"]?.string }.filter { !$0.isEmpty }
      result[result.count - 1]["content"] = JSONValue(texts.joined(separator: "\n\n"))
    }
    return result
  }
}
