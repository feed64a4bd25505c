import TestSupport
import Tokenizers

/// ChatML as it is published, `<|im_start|>role\ncontent<|im_end|>\n`, apart from any template.
struct ChatMLFrame {
  let tokenizer: Tokenizer

  func message(_ role: String, _ content: String) -> [Int32] {
    [TinyModel.startOfMessage] + tokenizer.encode("\(role)\n\(content)") + endOfMessage
  }

  /// What starts the model's answer.
  var answerHead: [Int32] { [TinyModel.startOfMessage] + tokenizer.encode("assistant\n") }

  /// What ends a message.
  var endOfMessage: [Int32] { [TinyModel.endOfMessage] + tokenizer.encode("\n") }
}
