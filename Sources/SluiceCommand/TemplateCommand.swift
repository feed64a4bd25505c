import ArgumentParser
import ChatTemplates
import Engine
import Foundation
import ModelJSON
import Weights

struct TemplateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "template",
    abstract: "Show what a chat template writes.",
    discussion: """
      The template is a file of Jinja, or the one that a model brings along (-m). It sees the variables as they are given:
      messages, tools, add_generation_prompt and whatever else it speaks of. A model's bos_token and eos_token come with
      it. Printed is the text and nothing else; what the template refuses is an error.
      """)

  @Argument(help: "A file with a template; without it the model's own.")
  var file: String?
  @Option(name: [.short, .long], help: "A GGUF file, a Hugging Face directory, or the name of a fetched model.")
  var model: String?
  @Option(name: .customLong("chat-template"), help: "Which of a model's templates, by its name, as tool_use.")
  var templateName: String?
  @Option(
    name: .long,
    help: ArgumentHelp("A file with one JSON object of variables; - is standard input.", valueName: "file.json"))
  var variables: String?
  @Option(
    name: .long,
    help: ArgumentHelp("What strftime_now tells, as 2026-11-29T21:10:35; the local time without it.", valueName: "time")
  )
  var now: String?

  func validate() throws {
    if file != nil, templateName != nil {
      throw ValidationError("--chat-template chooses among a model's templates, and a file was given")
    }
    if let now, TemplateTime(now) == nil {
      throw ValidationError("--now must be a time such as 2026-11-29T21:10:35, but is '\(now)'")
    }
    if file == "-", variables == "-" { throw ValidationError("standard input cannot be template and variables") }
  }

  func run() throws {
    let model = try file == nil || model != nil ? WeightFile.open(ModelLocator.path(of: model)) : nil
    let stored = try model?.chatTemplates() ?? StoredChatTemplates()
    let template = try file.map { try ChatTemplate(Self.text(of: $0), name: $0) } ?? template(stored, of: model)
    var variables = RenderingVariables(try givenVariables(), time: now.flatMap { TemplateTime($0) } ?? .now)
    for (name, text) in stored.templateTexts where variables.values[name] == nil {
      variables.templateTexts[name] = text
    }
    StandardOutput.write(try template.render(variables).text)
  }

  private func template(_ stored: StoredChatTemplates, of model: WeightFile?) throws -> ChatTemplate {
    guard let source = stored.source(named: templateName) else {
      let path = model?.path ?? ""
      let known = stored.templates.map(\.name)
      guard let templateName, !known.isEmpty else { throw CommandError("\(path): the model has no chat template") }
      throw CommandError("\(path): no chat template '\(templateName)'; there are \(known.joined(separator: ", "))")
    }
    return try ChatTemplate(source, name: templateName ?? "chat template")
  }

  private func givenVariables() throws -> JSONObject {
    guard let variables else { return JSONObject() }
    let name = variables == "-" ? "standard input" : variables
    do {
      let value = try JSONValue(parsing: Self.text(of: variables))
      guard let object = value.object else {
        throw CommandError("\(name): the variables must be an object, not \(value.kind)")
      }
      return object
    } catch let error as JSONError {
      throw CommandError("\(name): \(error.description)")
    }
  }

  /// More than any template or conversation has; an endless file must not fill the memory.
  private static let byteLimit = 64 << 20

  private static func text(of path: String) throws -> String {
    var bytes: [UInt8] = []
    try TextSource(path: path).forEachPiece { piece in
      bytes += piece
      guard bytes.count <= byteLimit else { throw CommandError("\(path): more than \(byteLimit) bytes") }
      return true
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
