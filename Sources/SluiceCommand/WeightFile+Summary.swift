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
    place += Self.frame(of: source)
    if stored.templates.count > 1 { place += ", " + stored.templates.map(\.name).joined(separator: ", ") }
    do {
      let template = try ChatTemplate(source, name: "unusable")
      let traits = TemplateTraits(of: template, templateTexts: stored.templateTexts)
      return "\(place); \(traits.summary)"
    } catch {
      return "\(place), \(error)"
    }
  }

  /// The marks by which frames of messages are known, the more special first.
  private static let frames: [(name: String, mark: String)] = [
    ("Gemma 4", "<|turn>"), ("Gemma", "<start_of_turn>"), ("Harmony", "<|channel|>"),
    ("Llama 3", "<|start_header_id|>"), ("Granite", "<|start_of_role|>"), ("ChatML", "<|im_start|>"),
    ("Mistral", "[INST]"), ("DeepSeek", "<｜User｜>"), ("Phi", "<|user|>"),
  ]

  /// ", ChatML" for a template with that frame's marks; nothing for one of no known kind.
  private static func frame(of template: String) -> String {
    frames.first { template.contains($0.mark) }.map { ", \($0.name)" } ?? ""
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
