import ChatTemplates
import Foundation
package import Tokenizers
import Weights

extension ConversationTemplate {
  /// The chat template of a model's files; ChatML where they have none but the vocabulary has its tokens.
  ///
  /// - Throws: `TemplateError` where the template cannot be read, `LanguageModelError` where there is none.
  package init(_ stored: StoredChatTemplates, tokenizer: Tokenizer) throws {
    if let source = stored.source() {
      self.init(
        try ChatTemplate(source, name: "chat template"), tokenizer: tokenizer, templateTexts: stored.templateTexts)
    } else if tokenizer.id(ofSpecial: "<|im_start|>") != nil, tokenizer.id(ofSpecial: "<|im_end|>") != nil {
      self = try ConversationTemplate(named: "chatml", tokenizer: tokenizer)
    } else {
      throw LanguageModelError.noChatTemplate
    }
  }

  /// The template in a file, or a known one by its name.
  ///
  /// - Throws: `TemplateError` where it cannot be read, `LanguageModelError` where there is none.
  package init(named name: String, tokenizer: Tokenizer) throws {
    if let source = Self.known[name] {
      self.init(try ChatTemplate(source, name: name), tokenizer: tokenizer)
    } else if FileManager.default.fileExists(atPath: name) {
      let bytes = try MappedFile.contents(of: name)
      self.init(try ChatTemplate(String(decoding: bytes, as: UTF8.self), name: name), tokenizer: tokenizer)
    } else {
      let names = Self.known.keys.sorted().joined(separator: ", ")
      throw LanguageModelError.badOptions("'\(name)' is no file and no known template; known are \(names)")
    }
  }

  /// The formats that most models without a template of their own were trained on, by the names that users of
  /// llama.cpp know.
  static let known: [String: String] = [
    "chatml": """
    {%- for message in messages -%}
    {{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif -%}
    """,
    "gemma": """
    {{- bos_token -}}
    {%- for message in messages -%}
    {%- if message.role == 'system' %}{{ raise_exception('Gemma knows no system messages') }}{% endif -%}
    {{ '<start_of_turn>' + ('model' if message.role == 'assistant' else message.role) + '\\n' }}
    {{- message.content | trim + '<end_of_turn>\\n' }}
    {%- endfor -%}
    {%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif -%}
    """,
    "llama2": """
    {%- set state = namespace(system='') -%}
    {%- for message in messages -%}
    {%- if message.role == 'system' -%}
    {%- set state.system = '<<SYS>>\\n' + message.content + '\\n<</SYS>>\\n\\n' -%}
    {%- elif message.role == 'user' -%}
    {{ bos_token + '[INST] ' + state.system + message.content | trim + ' [/INST]' }}
    {%- set state.system = '' -%}
    {%- else -%}
    {{ ' ' + message.content | trim + ' ' + eos_token }}
    {%- endif -%}
    {%- endfor -%}
    """,
    "llama3": """
    {{- bos_token -}}
    {%- for message in messages -%}
    {{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
    {%- endfor -%}
    {%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif -%}
    """,
    "phi3": """
    {%- for message in messages -%}
    {{ '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}
    {%- endfor -%}
    {%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif -%}
    """,
    "zephyr": """
    {%- for message in messages -%}
    {{ '<|' + message.role + '|>\\n' + message.content + eos_token + '\\n' }}
    {%- endfor -%}
    {%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif -%}
    """,
  ]
}
