import Foundation
import ModelJSON
package import Weights

/// The chat templates that a model's files hold, and the special tokens that these templates speak of.
package struct StoredChatTemplates: Sendable {
  package struct Named: Sendable, Hashable {
    /// `default`, or what its authors call it: `tool_use`, `rag`.
    package let name: String
    package let source: String
  }

  /// In the order of the files; none where the model has none.
  package internal(set) var templates: [Named] = []
  /// `bos_token`, `eos_token` and others by name, spelled out.
  package internal(set) var tokens: [String: String] = [:]

  /// The template of a name; without one the default, or the first.
  package func source(named name: String? = nil) -> String? {
    let found = templates.first { $0.name == name ?? "default" }
    return (name == nil ? found ?? templates.first : found)?.source
  }

  fileprivate mutating func add(_ name: String, _ source: String) {
    if !templates.contains(where: { $0.name == name }) { templates.append(Named(name: name, source: source)) }
  }
}

extension WeightFile {
  /// Reads the templates of a GGUF's metadata, or of the files beside a Hugging Face model's weights.
  ///
  /// - Throws: `WeightsError` for mistyped metadata, `LanguageModelError` for files that are no JSON.
  package func chatTemplates() throws -> StoredChatTemplates {
    switch format {
    case .gguf: try chatTemplatesOfGGUF()
    case .huggingFace, .safetensors: try chatTemplatesOfDirectory()
    }
  }

  private func chatTemplatesOfGGUF() throws -> StoredChatTemplates {
    let key = "tokenizer.chat_template"
    var stored = StoredChatTemplates()
    if let source = try metadata.string(ifPresent: key) { stored.add("default", source) }
    for name in try metadata.strings(ifPresent: "tokenizer.chat_templates") ?? [] {
      if let source = try metadata.string(ifPresent: "\(key).\(name)") { stored.add(name, source) }
    }
    // A file with a named template need not list the names.
    for name in ["tool_use", "rag"] {
      if let source = try metadata.string(ifPresent: "\(key).\(name)") { stored.add(name, source) }
    }
    let prefix = "tokenizer.ggml."
    guard !stored.templates.isEmpty, let tokens = try metadata.strings(ifPresent: prefix + "tokens") else {
      return stored
    }
    let kinds = [("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding"), ("sep", "seperator")]
    for (name, stem) in kinds {
      guard let id = try metadata.integer(ifPresent: "\(prefix)\(stem)_token_id"), tokens.indices.contains(id) else {
        continue
      }
      stored.tokens[name + "_token"] = tokens[id]
    }
    return stored
  }

  private func chatTemplatesOfDirectory() throws -> StoredChatTemplates {
    var stored = StoredChatTemplates()
    if let path = companion("chat_template.jinja") {
      stored.add("default", String(decoding: try MappedFile.contents(of: path), as: UTF8.self))
      let folder = path.dropLast("chat_template.jinja".count) + "additional_chat_templates"
      let names = (try? FileManager.default.contentsOfDirectory(atPath: String(folder))) ?? []
      for file in names.sorted() where file.hasSuffix(".jinja") {
        let source = try MappedFile.contents(of: "\(folder)/\(file)")
        stored.add(String(file.dropLast(6)), String(decoding: source, as: UTF8.self))
      }
    }
    for file in ["tokenizer_config.json", "chat_template.json", "special_tokens_map.json"] {
      guard let path = companion(file) else { continue }
      let value: JSONValue
      do {
        value = try JSONValue(parsing: try MappedFile.contents(of: path))
      } catch let error as JSONError {
        throw LanguageModelError.malformed(path, error.description)
      }
      stored.add(value)
    }
    return stored
  }
}

extension StoredChatTemplates {
  /// Adds what one of a directory's files says.
  fileprivate mutating func add(_ value: JSONValue) {
    switch value["chat_template"] {
    case .string(let source)?: add("default", source)
    case .array(let list)?:
      for entry in list {
        if let source = entry["template"]?.string { add(entry["name"]?.string ?? "default", source) }
      }
    default: break
    }
    for (key, token) in value.object ?? JSONObject() where key.hasSuffix("_token") && tokens[key] == nil {
      if let text = token.string ?? token["content"]?.string { tokens[key] = text }
    }
  }
}
