package import Tokenizers
package import Weights

/// The ChatML prompt: `<|im_start|>role\ncontent<|im_end|>\n` for each message.
///
/// Only the frame becomes special tokens; content is untrusted and stays text whatever it contains.
package struct ChatML: Sendable {
  package enum Role: String, Sendable {
    case system
    case user
    case assistant
  }

  /// The system message that SmolLM2's own template writes where there is none.
  package static let defaultInstructions = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

  /// The system message that a model's own template writes where there is none: that of SmolLM2 where the template has
  /// it, or where there is no template to ask.
  package static func defaultInstructions(of file: WeightFile) throws -> String? {
    guard let template = try file.chatTemplates().source() else { return defaultInstructions }
    return template.contains(defaultInstructions) ? defaultInstructions : nil
  }

  private let tokenizer: Tokenizer
  private let start: Int32
  private let end: Int32

  /// Nil where the vocabulary has no ChatML tokens.
  package init?(tokenizer: Tokenizer) {
    guard let start = tokenizer.id(ofSpecial: "<|im_start|>"), let end = tokenizer.id(ofSpecial: "<|im_end|>") else {
      return nil
    }
    self.tokenizer = tokenizer
    self.start = start
    self.end = end
  }

  /// A whole message.
  package func message(_ role: Role, _ content: String) -> [Int32] {
    [start] + tokenizer.encode("\(role.rawValue)\n\(content)") + endOfMessage
  }

  /// What starts a message whose content follows.
  package func messageHead(_ role: Role) -> [Int32] { [start] + tokenizer.encode("\(role.rawValue)\n") }

  /// What ends a message.
  package var endOfMessage: [Int32] { [end] + tokenizer.encode("\n") }
}
