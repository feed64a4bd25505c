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

  func templateSummary(path: String) -> String {
    guard case .gguf = format else {
      let names = ["chat_template.jinja", "tokenizer_config.json"]
      let texts = names.compactMap { name -> String? in
        guard let data = FileManager.default.contents(atPath: "\(path)/\(name)") else { return nil }
        let text = String(decoding: data, as: UTF8.self)
        return name.hasSuffix(".jinja") || text.contains("chat_template") ? text : nil
      }
      return texts.first.map { "beside the weights" + Self.frame(of: $0) } ?? "none"
    }
    let template = (try? metadata.string(ifPresent: "tokenizer.chat_template")) ?? nil
    return template.map { "in the file" + Self.frame(of: $0) } ?? "none"
  }

  /// The marks by which frames of messages are known, the more special first.
  private static let frames: [(name: String, mark: String)] = [
    ("Gemma 4", "<|turn>"), ("Gemma", "<start_of_turn>"), ("Harmony", "<|channel|>"),
    ("Llama 3", "<|start_header_id|>"), ("Granite", "<|start_of_role|>"), ("ChatML", "<|im_start|>"),
    ("Mistral", "[INST]"), ("DeepSeek", "<｜User｜>"),
    ("Phi", "<|user|>"),
  ]

  /// ", ChatML" for a template with that frame's marks; nothing for one of no known kind.
  private static func frame(of template: String) -> String {
    frames.first { template.contains($0.mark) }.map { ", \($0.name)" } ?? ""
  }
}
