import TestSupport
import Testing

/// `sluice template` prints a rendering and nothing else.
@Suite struct TemplateCommandTests {
  private static let source = """
    {%- if messages[0].role == 'system' %}{{ raise_exception('no\\nsystem') }}{% endif %}
    {{- bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}
    {% endfor %}{{ strftime_now('%d %b %Y') }}
    """

  @Test func `the text without an added line break`() throws {
    try withTemporaryDirectory { folder in
      let template = try write(Self.source, to: "a.jinja", in: folder)
      let variables = try write(
        #"{"messages": [{"role": "user", "content": "Köln"}], "bos_token": "<s>"}"#, to: "v.json", in: folder)
      let arguments = ["template", template, "--variables", variables, "--now", "2026-11-29"]
      let result = try Sluice.run(arguments)
      #expect(result.status == 0 && result.error.isEmpty, "\(result)")
      #expect(result.output == "<s>user: Köln\n29 Nov 2026")
      let piped = try Sluice.run(
        ["template", template, "--variables", "-", "--now", "2026-11-29T01:02"],
        input: .bytes(Array(#"{"messages": [{"role": "user", "content": "b"}]}"#.utf8)))
      #expect(piped.output == "user: b\n29 Nov 2026")
    }
  }

  @Test func `the template of a model with its tokens`() throws {
    try withTemporaryDirectory { folder in
      var writer = TinyModel().writer()
      writer.metadata += [
        ("tokenizer.chat_template", .string("{{ bos_token }}{{ messages | length }}{{ eos_token }}")),
        ("tokenizer.chat_template.tool_use", .string("tools")),
      ]
      let model = try write(writer.bytes(), to: "a.gguf", in: folder)
      let variables = try write(#"{"messages": [1, 2]}"#, to: "v.json", in: folder)
      #expect(try Sluice.run(["template", "-m", model, "--variables", variables]).output == "<|im_start|>2<|im_end|>")
      #expect(try Sluice.run(["template", "-m", model, "--chat-template", "tool_use"]).output == "tools")
      let unknown = try Sluice.run(["template", "-m", model, "--chat-template", "x"])
      #expect(unknown.status == 1 && unknown.error.hasSuffix("no chat template 'x'; there are default, tool_use\n"))
      let none = try write(TinyModel().bytes(), to: "b.gguf", in: folder)
      let missing = try Sluice.run(["template", "-m", none])
      #expect(missing.status == 1 && missing.error.hasSuffix("b.gguf: the model has no chat template\n"))
    }
  }

  @Test func `what cannot be rendered is one line`() throws {
    try withTemporaryDirectory { folder in
      let template = try write(Self.source, to: "a.jinja", in: folder)
      let system = try write(#"{"messages": [{"role": "system", "content": ""}]}"#, to: "s.json", in: folder)
      let list = try write("[1]", to: "list.json", in: folder)
      let broken = try write("{\n  \"a\": }", to: "broken.json", in: folder)
      let unclosed = try write("{% if x %}", to: "unclosed.jinja", in: folder)
      let cases: [([String], String)] = [
        ([template, "--variables", system], "a.jinja: line 1, column 57: no system"),
        ([template], "a.jinja: line 1, column 16: 'messages' is undefined"),
        ([template, "--variables", list], "list.json: the variables must be an object, not an array"),
        ([template, "--variables", broken], "broken.json: line 2, column 8: expected a value"),
        ([unclosed], "unclosed.jinja: line 1, column 11: the template ends before 'elif' or 'else' or 'endif'"),
        (["/no/such.jinja"], "/no/such.jinja: no such file"), ([folder], "it is a directory"),
        ([template, "--variables", "/no/such.json"], "/no/such.json: no such file"),
      ]
      for (arguments, message) in cases {
        let result = try Sluice.run(["template"] + arguments)
        #expect(result.status == 1 && result.output.isEmpty && result.errorLines.count == 1, "\(result)")
        #expect(result.error.hasSuffix(message + "\n"), "\(result.error)")
      }
      for arguments in [["--now", "noon", template], [template, "--chat-template", "x"], ["-", "--variables", "-"]] {
        #expect(try Sluice.run(["template"] + arguments).status == 2)
      }
    }
  }
}
