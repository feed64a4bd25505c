import Engine
import ModelJSON

/// The tools of a request, and which of them its answer may or must call.
struct ToolFields: Sendable {
  enum Choice: Sendable, Hashable {
    case automatic
    case none
    /// At least one call.
    case required
    /// A call of one of the tools by these names.
    case named(String)
  }

  /// The tools as OpenAI's chat API describes them, the form that templates know.
  private(set) var all: [JSONValue] = []
  private(set) var choice = Choice.automatic
  /// Those that may be called; nil where all may.
  private var allowed: Set<String>?
  /// Whether an answer may have several calls.
  private(set) var isParallel = true

  init() {}

  /// The tools that the model is told of: those that it may call.
  var told: [JSONValue] {
    guard choice != .none else { return [] }
    guard let allowed else { return all }
    return all.filter { $0["function"]?["name"]?.string.map(allowed.contains) ?? false }
  }

  var signatures: ToolSignatures { ToolSignatures(told) }

  /// How calls are found in an answer; nil where there are none.
  ///
  /// - Parameters:
  ///   - isConstrained: whether the answer is kept to the spelling that constraints have
  ///   - streams: whether calls are told while they are written
  func reader(_ formats: ServedModel.Formats, isConstrained: Bool, streams: Bool) -> ToolCallReader? {
    guard !told.isEmpty else { return nil }
    let format = isConstrained ? formats.grammar.format : formats.calls
    return ToolCallReader(format, tools: signatures, limit: isParallel ? .max : 1, handsOver: streams)
  }

  // The fields of each API.

  /// `tools`, `tool_choice` and `parallel_tool_calls` of chat completions.
  static func chat(_ fields: inout RequestFields) throws(RequestError) -> ToolFields {
    var tools = ToolFields()
    for (index, tool) in try fields.array("tools")?.enumerated().map({ $0 }) ?? [] {
      var tool = try RequestFields(tool, at: "tools[\(index)]")
      try tool.checkKind(["function"])
      guard var function = try tool.fields("function") else {
        throw .bad(tool.path("function"), "'\(tool.path("function"))' is missing")
      }
      try tools.add(&function, parameters: "parameters")
      try tool.finish()
    }
    try fields.refuse(["functions"]) { $0.array?.isEmpty ?? false }
    try fields.refuse(["function_call"]) { ["none", "auto"].contains($0.string) }
    tools.isParallel = try fields.bool("parallel_tool_calls") ?? true
    try tools.readChoice(&fields, allowedIn: "allowed_tools") { choice throws(RequestError) in
      try choice.checkKind(["function"])
      guard var function = try choice.fields("function") else { return nil }
      let name = try function.string("name")
      try function.finish()
      return name
    }
    return tools
  }

  /// `tools`, `tool_choice` and `parallel_tool_calls` of responses, whose functions stand without an object of their own.
  ///
  /// - Parameter ignored: kinds of tools that agents declare and an answer can do without
  static func responses(_ fields: inout RequestFields, ignoring ignored: Set<String>) throws(RequestError) -> ToolFields
  {
    var tools = ToolFields()
    for (index, tool) in try fields.array("tools")?.enumerated().map({ $0 }) ?? [] {
      if let kind = tool["type"]?.string, ignored.contains(kind) { continue }
      var tool = try RequestFields(tool, at: "tools[\(index)]")
      try tool.checkKind(["function"])
      try tools.add(&tool, parameters: "parameters")
    }
    tools.isParallel = try fields.bool("parallel_tool_calls") ?? true
    try tools.readChoice(&fields) { choice throws(RequestError) in
      try choice.checkKind(["function"])
      return try choice.string("name")
    }
    return tools
  }

  /// `tools` and `tool_choice` of Anthropic's API.
  static func anthropic(_ fields: inout RequestFields) throws(RequestError) -> ToolFields {
    var tools = ToolFields()
    for (index, tool) in try fields.array("tools")?.enumerated().map({ $0 }) ?? [] {
      var tool = try RequestFields(tool, at: "tools[\(index)]")
      if tool.has("type") { try tool.checkKind(["custom"]) }
      tool.ignore(["cache_control", "eager_input_streaming", "input_examples", "defer_loading", "allowed_callers"])
      try tools.add(&tool, parameters: "input_schema")
    }
    guard var choice = try fields.fields("tool_choice") else { return tools }
    tools.isParallel = !(try choice.bool("disable_parallel_tool_use") ?? false)
    switch try choice.string("type") {
    case "auto": tools.choice = .automatic
    case "none": tools.choice = .none
    case "any": tools.choice = .required
    case "tool":
      guard let name = try choice.string("name") else {
        throw .bad("tool_choice.name", "'tool_choice.name' is missing")
      }
      tools.choice = .named(name)
    default: throw .bad("tool_choice.type", "'tool_choice.type' must be auto, any, tool or none")
    }
    try choice.finish()
    try tools.checkChoice()
    return tools
  }

  private static func isName(_ name: String) -> Bool {
    (1...128).contains(name.utf8.count)
      && name.utf8.allSatisfy {
        switch $0 {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
          UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
          true
        default: false
        }
      }
  }

  /// Takes in a function.
  ///
  /// - Parameter parameters: what the API calls the schema of its arguments
  private mutating func add(_ fields: inout RequestFields, parameters: String) throws(RequestError) {
    guard all.count < 512 else { throw .bad("tools", "a request may have up to 512 tools", code: "invalid_value") }
    guard let name = try fields.string("name"), Self.isName(name) else {
      let place = fields.path("name")
      throw .bad(place, "'\(place)' must have from 1 to 128 letters, digits, '_', '-' or '.'", code: "invalid_value")
    }
    guard !all.contains(where: { $0["function"]?["name"]?.string == name }) else {
      throw .bad(fields.path("name"), "there are two tools by the name '\(name)'", code: "invalid_value")
    }
    var function = JSONObject()
    function["name"] = .string(name)
    if let description = try fields.string("description") { function["description"] = .string(description) }
    let schema = try fields.object(parameters)
    if schema == nil, parameters == "input_schema" {
      throw .bad(fields.path(parameters), "'\(fields.path(parameters))' is missing")
    }
    function["parameters"] = schema.map { .object($0) } ?? ["type": "object", "properties": [:]]
    _ = try fields.bool("strict")
    try fields.finish()
    all.append(["type": "function", "function": .object(function)])
  }

  /// - Parameters:
  ///   - nested: the member that has what `allowed_tools` says, where that stands in an object of its own
  ///   - named: reads the name of a tool from an object
  private mutating func readChoice(
    _ fields: inout RequestFields, allowedIn nested: String? = nil,
    named: (inout RequestFields) throws(RequestError) -> String?
  ) throws(RequestError) {
    guard let value = fields.value("tool_choice") else { return }
    if value["type"]?.string == "allowed_tools", var object = try fields.fields("tool_choice") {
      try object.checkKind(["allowed_tools"])
      if let nested {
        guard var inner = try object.fields(nested) else {
          throw .bad(object.path(nested), "'\(object.path(nested))' is missing")
        }
        try readAllowed(&inner, named: named)
        try inner.finish()
      } else {
        try readAllowed(&object, named: named)
      }
      try object.finish()
    } else if value.object != nil, var object = try fields.fields("tool_choice") {
      guard let name = try named(&object) else { throw .bad("tool_choice", "'tool_choice' must name a function") }
      try object.finish()
      choice = .named(name)
    } else {
      switch value.string {
      case "auto": choice = .automatic
      case "none": choice = .none
      case "required": choice = .required
      default:
        throw .bad("tool_choice", "'tool_choice' must be auto, none, required or an object that names a function")
      }
    }
    try checkChoice()
  }

  /// The mode and the tools of `allowed_tools`.
  private mutating func readAllowed(
    _ fields: inout RequestFields, named: (inout RequestFields) throws(RequestError) -> String?
  ) throws(RequestError) {
    switch try fields.string("mode") {
    case "auto": choice = .automatic
    case "required": choice = .required
    default: throw .bad(fields.path("mode"), "'\(fields.path("mode"))' must be auto or required")
    }
    let place = fields.path("tools")
    var names: Set<String> = []
    for (index, tool) in try fields.array("tools")?.enumerated().map({ $0 }) ?? [] {
      var tool = try RequestFields(tool, at: "\(place)[\(index)]")
      guard let name = try named(&tool), all.contains(where: { $0["function"]?["name"]?.string == name }) else {
        throw .bad("\(place)[\(index)]", "'\(place)[\(index)]' must name a tool of the request")
      }
      try tool.finish()
      names.insert(name)
    }
    guard !names.isEmpty else { throw .bad(place, "'\(place)' must name a tool") }
    allowed = names
  }

  private func checkChoice() throws(RequestError) {
    switch choice {
    case .automatic, .none: return
    case .required:
      guard !all.isEmpty else { throw .bad("tool_choice", "'tool_choice' asks for a call, but there are no tools") }
    case .named(let name):
      guard all.contains(where: { $0["function"]?["name"]?.string == name }) else {
        throw .bad("tool_choice", "'tool_choice' names '\(name)', which is no tool of the request")
      }
    }
  }
}

extension RequestFields {
  /// Refuses what is of another kind than those that are known.
  fileprivate mutating func checkKind(_ known: [String]) throws(RequestError) {
    let kind = try string("type") ?? ""
    guard known.contains(kind) else {
      let place = path("type")
      throw .bad(
        place, "'\(place)' must be \(known.joined(separator: " or ")), not '\(kind)'", code: "unsupported_parameter")
    }
  }
}
