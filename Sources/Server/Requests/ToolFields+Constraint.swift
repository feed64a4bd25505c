import Constraints
import Engine
import ModelJSON

/// Answers that must call a tool, or may do so beside a format.
extension ToolFields {
  /// Whether an answer is nothing but calls.
  var isForced: Bool {
    switch choice {
    case .automatic, .none: false
    case .required, .named: true
    }
  }

  /// What an answer must be.
  ///
  /// - Parameter format: what it must be where it is no call
  /// - Throws: `RequestError` where the schema of a tool cannot be kept.
  func constraint(beside format: AnswerConstraint?, _ model: ServedModel) throws(RequestError) -> AnswerConstraint? {
    guard isForced || (format != nil && !told.isEmpty) else { return format }
    guard let formats = model.formats else { return format }
    if let format, !isForced, formats.answer == .channels {
      _ = format
      throw .bad("tools", "with this model an answer is either kept to a format or may call tools")
    }
    var tools: [(name: String, parameters: JSONValue)] = []
    for tool in told {
      guard let function = tool["function"], let name = function["name"]?.string else { continue }
      if case .named(let wanted) = choice, wanted != name { continue }
      tools.append((name, function["parameters"] ?? [:]))
    }
    let isSingle = !isParallel || choice != .required && isForced
    let calls = formats.grammar.part(tools, isSingle: isSingle)
    do {
      if !isForced, let format { return try AnswerConstraint(.alternatives([format.part, calls])) }
      let name = "calls \(isSingle) " + tools.map { "\($0.name) \($0.parameters.text)" }.joined(separator: "\n")
      return try model.constraints.constraint(named: name) { () throws(ConstraintError) in try AnswerConstraint(calls) }
    } catch {
      throw .bad("tools", "tools\(place(of: tools)): \(error.description)", code: "invalid_json_schema")
    }
  }

  /// Which of the tools has a schema that cannot be kept.
  private func place(of tools: [(name: String, parameters: JSONValue)]) -> String {
    for (name, parameters) in tools where (try? Constraint(.json(parameters))) == nil {
      let index = all.firstIndex { $0["function"]?["name"]?.string == name } ?? 0
      return "[\(index)]"
    }
    return ""
  }
}
