import Engine
import TestSupport
import Testing
import Weights

/// Where a model's files keep chat templates and the tokens that these speak of.
@Suite struct StoredChatTemplatesTests {
  private func directory(
    _ files: [(String, String)], _ body: (WeightFile) throws -> Void
  ) throws {
    try withTemporaryDirectory { folder in
      var weights = SafetensorsWriter()
      weights.add("a", [1], [1])
      try write(weights.bytes(), to: "model.safetensors", in: folder)
      try makeDirectory("additional_chat_templates", in: folder)
      for (name, text) in [("config.json", "{}")] + files { try write(text, to: name, in: folder) }
      try body(WeightFile.open(folder))
    }
  }

  @Test func `a GGUF's metadata`() throws {
    var writer = TinyModel().writer()
    #expect(try stored(writer).templates.isEmpty)
    #expect(try stored(writer).source() == nil)
    writer.metadata += [
      ("tokenizer.chat_template", .string("plain")), ("tokenizer.chat_templates", .strings(["long", "gone"])),
      ("tokenizer.chat_template.long", .string("all")), ("tokenizer.chat_template.tool_use", .string("tools")),
    ]
    let templates = try stored(writer)
    #expect(templates.templates.map(\.name) == ["default", "long", "tool_use"])
    #expect(templates.source() == "plain" && templates.source(named: "long") == "all")
    #expect(templates.source(named: "tool_use") == "tools" && templates.source(named: "rag") == nil)
    try withTemporaryDirectory { folder in
      let file = try WeightFile.open(write(writer.bytes(), to: "a.gguf", in: folder))
      #expect(try file.chatTemplates().templateTexts == ["bos_token": "<|im_start|>", "eos_token": "<|im_end|>"])
    }
  }

  private func stored(_ writer: GGUFWriter) throws -> StoredChatTemplates {
    try withTemporaryDirectory { folder in
      try WeightFile.open(write(writer.bytes(), to: "a.gguf", in: folder)).chatTemplates()
    }
  }

  @Test func `one template of a directory`() throws {
    let config = #"{"chat_template": "one", "bos_token": "<b>", "eos_token": {"content": "<e>"}, "unk_token": null}"#
    try directory([("tokenizer_config.json", config), ("special_tokens_map.json", #"{"pad_token": "<p>"}"#)]) { file in
      let (templates, texts) = (try file.chatTemplates(), try file.chatTemplates().templateTexts)
      #expect(templates.source() == "one")
      #expect(texts == ["bos_token": "<b>", "eos_token": "<e>", "pad_token": "<p>"])
    }
  }

  @Test func `several templates of a directory`() throws {
    let config = #"{"chat_template": [{"name": "rag", "template": "r"}, {"name": "default", "template": "d"}]}"#
    try directory([("tokenizer_config.json", config)]) { file in
      let templates = try file.chatTemplates()
      #expect(templates.templates.map(\.name) == ["rag", "default"])
      #expect(templates.source() == "d" && templates.source(named: "rag") == "r")
    }
  }

  @Test func `files of templates win`() throws {
    let files = [
      ("tokenizer_config.json", #"{"chat_template": "old"}"#), ("chat_template.jinja", "new"),
      ("additional_chat_templates/tool_use.jinja", "tools"),
    ]
    try directory(files) { file in
      let templates = try file.chatTemplates()
      #expect(templates.templates.map(\.source) == ["new", "tools"])
    }
  }

  @Test func `a broken file is named`() throws {
    try directory([("tokenizer_config.json", "{")]) { file in
      let error = try #require(throws: LanguageModelError.self) { try file.chatTemplates() }
      #expect(error.description.contains("tokenizer_config.json: line 1, column 2"))
    }
  }
}
