import ModelJSON
import TestSupport
import Testing

@testable import ChatTemplates

/// Templates that would take the stack, the time or the memory end in the limit's error.
@Suite struct TemplateLimitTests {
  private func kind(_ source: String, _ values: JSONValue = ["a": "x"]) -> TemplateError.Kind? {
    switch GoldenTemplates.result(source, values) {
    case .success: nil
    case .failure(let error): error.kind
    }
  }

  private static func repeated(_ text: String, _ count: Int = 5000) -> String {
    String(repeating: text, count: count)
  }

  @Test(arguments: [
    "{{ \(repeated("("))1\(repeated(")")) }}", "{{ \(repeated("["))\(repeated("]")) }}", "{{ \(repeated("not "))1 }}",
    "{{ \(repeated("-"))1 }}", "{{ a\(repeated(".b")) }}", "{{ a\(repeated("|upper")) }}", "{{ a\(repeated("()")) }}",
    "{{ a\(repeated("[0]")) }}", repeated("{% if 1 %}"), repeated("{% for x in a %}"), "{{ 1\(repeated(" + 1")) }}",
    "{{ 1\(repeated(" if 1 else 1")) }}", "{{ 1\(repeated(" if 1")) }}", "{{ 1\(repeated(" and 1")) }}",
    "{% set \(repeated("("))a\(repeated(")")) = 1 %}", repeated("a", 1 << 20 + 1),
    "{{ f(\(repeated("f("))\(repeated(")"))) }}", "{{ \(repeated("{1:"))1\(repeated("}")) }}",
  ])
  func `depth of the source`(source: String) { #expect(kind(source) == .limit, "\(source.prefix(40))") }

  @Test(arguments: [
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{{ \(repeated("(", 90))f()\(repeated(")", 90)) }}{% endmacro %}{{ f() }}",
    "{% macro f() %}{{ f()\(repeated(" + 1", 250)) }}{% endmacro %}{{ f() }}",
    "{% macro f() %}\(repeated("{% for x in [1] %}", 90)){{ f() ~ [f(f())] }}\(repeated("{% endfor %}", 90)){% endmacro %}{{ f() }}",
    "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
    "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}",
  ])
  func `depth of calls`(source: String) { #expect(kind(source) == .limit) }

  private static let nesting = "{% set ns = namespace(x=1) %}{% for i in range(99999) %}"

  @Test(arguments: [
    "{% set ns.x = [ns.x] %}", "{% set ns.x = [ns.x, ns.x] %}", "{% set ns.x = {'a': ns.x} %}",
    "{% set ns.x = (ns.x,) %}",
    "{% set ns.x = namespace(y=ns.x) %}", "{% set ns.x = cycler(ns.x) %}", "{% set ns.x = joiner(ns.x) %}",
    "{% set ns.x = [ns.x].index %}", "{% set ns.x = {'a': ns.x}.get %}",
    "{% for y in [ns.x] %}{% set ns.x = loop %}{% endfor %}",
    "{% for y in [ns.x] %}{% set ns.x = loop.cycle %}{% endfor %}",
    "{% set p = ns.x %}{% macro m() %}{% endmacro %}{% set ns.x = m %}",
  ])
  func `depth of values`(body: String) { #expect(kind(Self.nesting + body + "{% endfor %}") == .limit) }

  @Test func `a loop that holds itself`() {
    let body = "{% for y in [1] %}{% set q = loop.changed(ns.x) %}{% set ns.x = loop %}{% endfor %}{% endfor %}"
    #expect(kind(Self.nesting + body) == nil)
    #expect(kind("{% for y in [1] %}{% set q = loop.changed(loop) %}{% set x = loop %}{% endfor %}") == .limit)
    #expect(kind("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}") == .limit)
  }

  @Test(arguments: [
    "{{ 'a' * 9223372036854775807 }}", "{{ [1] * 9223372036854775807 }}", "{{ 'a' | center(9223372036854775807) }}",
    "{{ 'a\\nb' | indent(9223372036854775807) }}", "{{ [[[1]]] | tojson(indent=9223372036854775807) }}",
    "{{ [[[1]]] | tojson(indent=4000000) }}", "{{ '%9999999999999999999999d' % 1 }}",
    "{{ '{:99999999999}'.format(1) }}",
    "{{ '%*d' % (-9223372036854775807 - 1, 1) }}", "{{ ('a' * 100000) | replace('', 'a' * 100000) }}",
    "{{ [1] | batch(9223372036854775807, 0) | list }}", "{{ [1] | slice(9223372036854775807) | list }}",
    "{{ range(9223372036854775807) }}", "{{ 'a'.zfill(9223372036854775807) }}", "{{ '%.9999999999d' % 1 }}",
    "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% for i in range(99999) %}{{ range(99999) | join }}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% set a = range(9999) | list %}{% for i in range(99999) %}{% set b = a == a %}{% endfor %}",
  ])
  func `size and time`(source: String) { #expect(kind(source) == .limit, "\(source)") }

  @Test(arguments: [
    "{{ 9223372036854775807 + 1 }}", "{{ -9223372036854775807 - 2 }}", "{{ 9223372036854775807 * 2 }}", "{{ 2 ** 63 }}",
    "{{ (-9223372036854775807 - 1) // -1 }}", "{{ (-9223372036854775807 - 1) | abs }}",
    "{{ -(-9223372036854775807 - 1) }}",
    "{{ 2 ** 9223372036854775807 }}", "{{ 10.0 ** 400 }}", "{{ 1e300 | int }}", "{{ 9223372036854775807 | round(-1) }}",
  ])
  func `numbers beyond 64 bits`(source: String) { #expect(kind(source) == .type, "\(source)") }

  @Test(arguments: [
    "{{ (-9223372036854775807 - 1) % -1 }}",
    "{{ 'abc'[-9223372036854775807:9223372036854775807:9223372036854775807] }}",
    "{{ 'abc'[9223372036854775807:-9223372036854775807:-9223372036854775807] }}", "{{ [1][9223372036854775807] }}",
    "{{ [1][-9223372036854775807] }}", "{{ 'abc'.find('b', -9223372036854775807, 9223372036854775807) }}",
    "{{ 'a b' | truncate(9223372036854775807, leeway=9223372036854775807) }}", "{{ [1, 2] | batch(-1) | list }}",
    "{{ range(-9223372036854775807, 9223372036854775807, 9223372036854775806) | list }}", "{{ (-2) ** 63 }}",
    "{{ (-9223372036854775807 - 1) | round(-18) }}", "{{ [1, 2] | slice(-3) | list }}", "{{ '9' * 400 | int }}",
  ])
  func `numbers at the edge`(source: String) { #expect(kind(source) == nil, "\(source)") }

  @Test func `limits may be set`() throws {
    var limits = TemplateLimits()
    limits.output = 10
    let template = try ChatTemplate("{% for i in range(20) %}ab{% endfor %}")
    #expect { try template.render(RenderingVariables(), limits: limits) } throws: { error in
      (error as? TemplateError)?.kind == .limit
    }
    limits.output = 40
    #expect(try template.render(RenderingVariables(), limits: limits).text.count == 40)
  }

  /// Jinja2 itself recurses without end here: every letter of a word is again something to be walked through.
  @Test(.enabled(if: Assets.available, Comment(rawValue: Assets.missing)))
  func `a nullable parameter under Hermes`() throws {
    let source = try #require(GoldenTemplates.source("NousResearch-Hermes-3-Llama-3.1-8B-tool_use"))
    let tool: JSONValue = [
      "type": "function",
      "function": [
        "name": "f", "description": "d",
        "parameters": ["type": "object", "properties": ["x": ["type": ["string", "null"], "description": "q"]]],
      ],
    ]
    #expect(kind(source, ["messages": [], "tools": [tool]]) == .limit)
  }
}
