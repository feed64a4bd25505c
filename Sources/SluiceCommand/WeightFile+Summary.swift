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
      let isThere = names.contains { name in
        guard let data = FileManager.default.contents(atPath: "\(path)/\(name)") else { return false }
        return name.hasSuffix(".jinja") || data.range(of: Data("chat_template".utf8)) != nil
      }
      return isThere ? "beside the weights" : "none"
    }
    return metadata.contains("tokenizer.chat_template") ? "in the file" : "none"
  }
}
