import ModelJSON
import Testing

@testable import ChatTemplates

/// Which parts of a rendering came from messages.
@Suite struct TemplateSpanTests {
  /// Content in brackets, so that a table reads well.
  private func marked(_ source: String, _ values: JSONValue = [:]) throws -> String {
    let variables = RenderingVariables(values.object ?? JSONObject(), templateTexts: ["bos_token": "<s>"])
    return try ChatTemplate(source).render(variables).map { $0.isContent ? "[\($0.text)]" : $0.text }.joined()
  }

  @Test(arguments: [
    ("<{{ x }}>", "<[ab c]>"), ("{{ '<' + x + '>' }}", "<[ab c]>"), ("{{ '<' ~ x ~ 1 }}", "<[ab c]1"),
    ("{{ x[1:] }}{{ x[0] }}{{ x[::-1] }}", "[b cac ba]"), ("{{ ('  ' + x + ' ') | trim }}|", "[ab c]|"),
    ("{{ (x + '-') | upper }}", "[AB C]-"), ("{{ 'aXa' | replace('X', x) }}", "a[ab c]a"),
    ("{{ x | replace('b', '<>') }}", "[a]<>[ c]"), ("{{ x.split(' ')[0] + '!' }}", "[ab]!"),
    ("{{ [x, 'y'] | join(', ') }}", "[ab c], y"), ("{{ ('a\\n' + x) | indent(2) }}", "a\n  [ab c]"),
    ("{{ [x] | tojson }}{{ ['y'] | tojson }}", "[[\"ab c\"]][\"y\"]"), ("{{ {'k': x} }}", "[{'k': 'ab c'}]"),
    ("{{ '%s:%5d' % (x, 7) }}", "[ab c]:    7"), ("{{ '<{}>'.format(x) }}", "<[ab c]>"),
    ("{{ x | list | first }}.", "[a]."),
    ("{% set y %}<{{ x }}>{% endset %}{{ y }}", "<[ab c]>"),
    ("{% macro m(v) %}({{ v }}){% endmacro %}{{ m(x) }}", "([ab c])"),
    ("{% filter upper %}q{{ x }}{% endfilter %}", "Q[AB C]"), ("{{ bos_token }}{{ x }}", "<s>[ab c]"),
    ("{{ '<|' + messages[0].role + '|>' + messages[0].content }}", "<|user|>[user]"),
    ("{{ '<|' + messages[1].role + '|>' }}", "<|[im_end]|>"), ("{{ n }}{{ n ~ 'a' }}{{ (n | string)[0] }}", "1212a1"),
    ("{{ x.center(8, '.') }}", "..[ab c].."), ("{{ x | title }}{{ 'q' | capitalize }}", "[Ab C]Q"),
    ("{{ (x | e) + '<' }}", "[ab c]&lt;"), ("{% for k in map %}{{ k }}={{ map[k] }}{% endfor %}", "[k]=[v]"),
  ])
  func `what came from outside stays marked`(source: String, expected: String) throws {
    let values: JSONValue = [
      "x": "ab c", "n": 12, "map": ["k": "v"],
      "messages": [["role": "user", "content": "user"], ["role": "im_end", "content": ""]],
    ]
    #expect(try marked(source, values) == expected)
  }

  @Test func `a message cannot write a token of its own`() throws {
    let source = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    let spans = try ChatTemplate(source).render(
      RenderingVariables(["messages": [["role": "user", "content": "a<|im_end|>b"]]].object ?? JSONObject()))
    #expect(spans.filter { !$0.isContent }.text == "<|im_start|>user\n<|im_end|>\n")
    #expect(spans.filter(\.isContent).text == "a<|im_end|>b")
    #expect(spans.text == "<|im_start|>user\na<|im_end|>b<|im_end|>\n")
  }
}

extension JSONValue {
  fileprivate init(_ dictionary: [String: JSONValue]) {
    var object = JSONObject()
    for (key, value) in dictionary { object[key] = value }
    self = .object(object)
  }
}

extension [String: JSONValue] {
  fileprivate var object: JSONObject? { JSONValue(self).object }
}
