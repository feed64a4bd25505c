import ChatTemplates
import Engine
import Foundation
import Weights

/// What a model's file says of its tokenizer and its conversations, for people to read.
extension WeightFile {
  func tokenizerSummary(path: String) -> String {
    guard case .gguf = format else {
      return FileManager.default.fileExists(atPath: path + "/tokenizer.json")
        ? "tokenizer.json" : "none beside the weights"
    }
    let text = { (key: String) in (try? self.metadata.string(ifPresent: key)) ?? nil }
    guard let model = text("tokenizer.ggml.model") else { return "none in the file" }
    return text("tokenizer.ggml.pre").map { "\(model), cut as \($0)" } ?? model
  }

  /// Where the chat template stands, and what it takes.
  func templateSummary() -> String {
    let stored: StoredChatTemplates
    do {
      stored = try chatTemplates()
    } catch {
      return "none that can be read: \(error)"
    }
    guard let source = stored.source() else { return "none" }
    var place = if case .gguf = format { "in the file" } else { "beside the weights" }
    if stored.templates.count > 1 { place += ", " + stored.templates.map(\.name).joined(separator: ", ") }
    do {
      let template = try ChatTemplate(source, name: "unusable")
      let traits = TemplateTraits(of: template, templateTexts: (try? templateTexts()) ?? [:])
      return "\(place); \(traits.summary)"
    } catch {
      return "\(place), \(error)"
    }
  }
}

extension TemplateTraits {
  /// What stands out, for people to read.
  fileprivate var summary: String {
    var parts: [String] = []
    parts.append(acceptsSystem ? "takes a system message" : "takes no system message")
    if needsAlternation { parts.append("needs alternating turns") }
    parts.append(acceptsTools ? "takes tools" : "takes no tools")
    if hasThinkingSwitch || hasReasoningEffort || openedThinking != nil { parts.append("thinks") }
    return parts.joined(separator: ", ")
  }
}
