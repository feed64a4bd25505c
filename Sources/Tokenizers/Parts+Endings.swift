extension Tokenizer.Parts {
  /// The spellings that end an answer in the families of models that do not name the token in their files.
  private static let endings: [String] = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "<EOT>",
    "<｜end▁of▁sentence｜>", "<end_of_utterance>", "</s>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<turn|>",
    "<|tool_response>", "<eos>", "[EOS]",
  ]

  /// Those that are plain text in other vocabularies, where they end nothing: HTML's.
  private static let endingsOnlyAsControls: Set<String> = ["</s>"]

  /// The marks around thoughts and tool calls of Gemma 4: a reader of the answer needs them.
  private static let visibleMarks: [String] = [
    "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>",
  ]

  /// Notes the tokens that end an answer and the controls that are shown, by their spellings.
  ///
  /// GGUF calls Gemma 4's marks user-defined, so that they are text; tokenizer.json calls them special, and there they
  /// stay what no prompt can write, but are decoded. Spec: llama.cpp, llama-vocab.cpp, `special_eog_ids`.
  mutating func addEndings() {
    var controls: [[UInt8]: Int32] = [:]
    var ids: [[UInt8]: Int32] = [:]
    for token in userDefined { ids[token.content] = token.id }
    for token in special {
      ids[token.content] = token.id
      controls[token.content] = token.id
    }
    func id(_ spelling: String) -> Int32? { ids[Array(spelling.utf8)] }

    var endings = Self.endings
    // Harmony: `<|end|>` ends a channel, and the answer goes on in the next.
    let endsCalls = id("<|call|>") != nil || id("<|calls|>") != nil
    if endsCalls && (id("<|return|>") != nil || id("<|flush|>") != nil) { endings.removeAll { $0 == "<|end|>" } }
    // Gemma 4 reads and writes HTML.
    if id("<|tool_response>") != nil { endings.removeAll { $0 == "</s>" } }
    for ending in endings {
      let known = Self.endingsOnlyAsControls.contains(ending) ? controls[Array(ending.utf8)] : id(ending)
      if let known { endOfGeneration.insert(known) }
    }
    if id("<|channel>") != nil {
      for mark in Self.visibleMarks {
        if let control = controls[Array(mark.utf8)] { visibleControls.insert(control) }
      }
    }
  }
}
