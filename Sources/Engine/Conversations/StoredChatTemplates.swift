import Foundation
import ModelJSON
package import Weights

/// The chat templates that a model's files hold, in their order; none where the model has none.
package struct StoredChatTemplates: Sendable {
  package init() {}

  package struct Named: Sendable, Hashable {
    /// `default`, or what its authors call it: `tool_use`, `rag`.
    package let name: String
    package let source: String
  }

  package private(set) var templates: [Named] = []
  /// The special tokens that templates speak of, spelled out by their names: `bos_token`, `eos_token` and others.
  package fileprivate(set) var templateTexts: [String: String] = [:]

  /// The template of a name; without one the default, or the first.
  package func source(named name: String? = nil) -> String? {
    let found = templates.first { $0.name == name ?? "default" }
    return (name == nil ? found ?? templates.first : found)?.source
  }

  fileprivate mutating func add(_ name: String, _ source: String) {
    if !templates.contains(where: { $0.name == name }) { templates.append(Named(name: name, source: source)) }
  }

  /// Adds what `chat_template` of one of a directory's files says: a template, or several with names.
  fileprivate mutating func add(_ value: JSONValue?) {
    switch value {
    case .string(let source)?: add("default", source)
    case .array(let list)?:
      for entry in list {
        if let source = entry["template"]?.string { add(entry["name"]?.string ?? "default", source) }
      }
    default: break
    }
  }
}

extension WeightFile {
  /// Reads the templates of a GGUF's metadata, or of the files beside a Hugging Face model's weights.
  ///
  /// - Throws: `WeightsError` for mistyped metadata, `LanguageModelError` for files that are no JSON.
  package func chatTemplates() throws -> StoredChatTemplates {
    var stored = StoredChatTemplates()
    stored.templateTexts = try templateTexts()
    guard case .gguf = format else {
      try addTemplatesOfDirectory(to: &stored)
      return stored
    }
    let key = "tokenizer.chat_template"
    if let source = try metadata.string(ifPresent: key) { stored.add("default", source) }
    // A file with a named template need not list the names.
    for name in try (metadata.strings(ifPresent: "tokenizer.chat_templates") ?? []) + ["tool_use", "rag"] {
      if let source = try metadata.string(ifPresent: "\(key).\(name)") { stored.add(name, source) }
    }
    return stored
  }

  private func addTemplatesOfDirectory(to stored: inout StoredChatTemplates) throws {
    let file = "chat_template.jinja"
    if let path = companion(file) {
      stored.add("default", String(decoding: try MappedFile.contents(of: path), as: UTF8.self))
      let folder = path.dropLast(file.count) + "additional_chat_templates"
      let names = (try? FileManager.default.contentsOfDirectory(atPath: String(folder))) ?? []
      for name in names.sorted() where name.hasSuffix(".jinja") {
        let source = try MappedFile.contents(of: "\(folder)/\(name)")
        stored.add(String(name.dropLast(".jinja".count)), String(decoding: source, as: UTF8.self))
      }
    }
    for file in ["tokenizer_config.json", "chat_template.json"] { stored.add(try json(file)?["chat_template"]) }
  }

  private func templateTexts() throws -> [String: String] {
    var texts: [String: String] = [:]
    guard case .gguf = format else {
      for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        for (key, token) in try json(file)?.object ?? JSONObject() where key.hasSuffix("_token") && texts[key] == nil {
          texts[key] = token.string ?? token["content"]?.string
        }
      }
      return texts
    }
    let prefix = "tokenizer.ggml."
    guard let tokens = try metadata.strings(ifPresent: prefix + "tokens") else { return texts }
    // GGUF spells the separator so.
    let stems = [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"), ("sep", "seperator")]
    for (name, stem) in stems {
      // What is no id of the vocabulary is the tokenizer's to warn of.
      let id = (try? metadata.integer(ifPresent: "\(prefix)\(stem)_token_id")) ?? nil
      guard let id, tokens.indices.contains(id) else { continue }
      texts[name + "_token"] = tokens[id]
    }
    return texts
  }

  private func json(_ file: String) throws -> JSONValue? {
    guard let path = companion(file) else { return nil }
    do {
      return try JSONValue(parsing: try MappedFile.contents(of: path))
    } catch let error as JSONError {
      throw LanguageModelError.malformed(path, error.description)
    }
  }
}
