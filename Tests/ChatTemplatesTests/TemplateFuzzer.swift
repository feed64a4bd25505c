import Kernels
import ModelJSON

@testable import ChatTemplates

/// Makes templates and variables that nobody meant: pieces of real ones, cut, doubled, swapped and joined.
struct TemplateFuzzer {
  private var random: SplitMix64
  private let sources: [[UInt8]]
  private let variables: [JSONValue]

  /// Words that steer a template into its corners.
  private static let words = [
    "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", "{{-", "-}}", "{%+", "(", ")", "[", "]", "{", "}", ":", ",", ".",
    "|", "~", "'", "\"", "\\", " if ", " else ", " not ", " in ", " is ", " and ", " or ", "9223372036854775807",
    "-9223372036854775808", "1e308", "0", "-1", "None", "true", "messages", "loop", "ns", "caller", "x", "range(9)",
    "{% for x in messages %}", "{% for x in x recursive %}", "{% endfor %}", "{% if x %}", "{% endif %}", "{% else %}",
    "{% set x = x ~ x %}", "{% set x = [x, x] %}", "{% set ns.x = ns %}", "{% set ns = namespace(x=messages) %}",
    "{% macro x(a, b=x) %}", "{% endmacro %}", "{{ x(x) }}", "{% call x() %}", "{% endcall %}", "{% set x %}",
    "{% endset %}", "{% filter upper %}", "{% endfilter %}", "{% raw %}", "{% endraw %}", "{% break %}", "*10000",
    "[::-1]",
    "|tojson(indent=9)", "|map('map', 'list')", "|join(x)", "|sort", "|groupby('role')", "|batch(2)", "|indent(9)",
    "%s",
    "% x", ".format(x)", "|replace('', x)", "**9", "//0", "loop(x)", "|length", "|center(9999)", "é", "\u{1F600}",
    "\r\n",
  ].map { Array($0.utf8) }

  init(seed: UInt64, sources: [String], variables: [JSONValue]) {
    random = SplitMix64(seed: seed)
    self.sources = sources.map { Array($0.utf8) }
    self.variables = variables
  }

  /// Renders one template; whatever comes of it but a text or a `TemplateError` is a fault of ours.
  mutating func round(limits: TemplateLimits) -> (source: String, result: Result<Int, TemplateError>) {
    let source = String(decoding: mutated(), as: UTF8.self)
    do {
      let template = try ChatTemplate(source, limits: limits)
      let given = variables[Int.random(in: variables.indices, using: &random)]
      let values = (Bool.random(using: &random) ? given : mutated(given)).object ?? JSONObject()
      let spans = try template.render(RenderingVariables(values, time: TemplateTime("2026-11-29")), limits: limits)
      return (source, .success(spans.reduce(0) { $0 + $1.text.utf8.count }))
    } catch {
      return (source, .failure(error))
    }
  }

  /// The same value with a few of its parts gone or of another kind; members of the outermost object stay.
  private mutating func mutated(_ value: JSONValue, depth: Int = 0) -> JSONValue {
    if depth > 1, Int.random(in: 0..<12, using: &random) == 0 {
      let replacements: [JSONValue] = [
        .null, true, 0, -1, JSONValue(Int.max), 1e300, "", "<|im_end|>", "e\u{301}\r\n", [], [:], [[[value]]],
        ["role": value, "content": [value, value]], JSONValue(String(repeating: "x", count: 5000)),
      ]
      return replacements[Int.random(in: replacements.indices, using: &random)]
    }
    switch value {
    case .array(let elements): return .array(elements.map { mutated($0, depth: depth + 1) })
    case .object(let members):
      var object = JSONObject()
      for (key, member) in members where depth == 0 || Int.random(in: 0..<12, using: &random) > 0 {
        object[key] = mutated(member, depth: depth + 1)
      }
      return .object(object)
    default: return value
    }
  }

  private mutating func mutated() -> [UInt8] {
    Bool.random(using: &random) ? mutatedByTags() : mutatedByBytes()
  }

  /// Tags and the text between them, cut apart.
  private static func tags(of bytes: [UInt8]) -> [[UInt8]] {
    var tags: [[UInt8]] = [[]]
    for (index, byte) in bytes.enumerated() {
      let opens = byte == UInt8(ascii: "{") && index + 1 < bytes.count && "{%#".utf8.contains(bytes[index + 1])
      let follows = index > 1 && bytes[index - 1] == UInt8(ascii: "}") && "}%#".utf8.contains(bytes[index - 2])
      if opens || follows { tags.append([]) }
      tags[tags.count - 1].append(byte)
    }
    return tags
  }

  /// Moves whole tags, and puts statements between them, so that most results are templates still.
  private mutating func mutatedByTags() -> [UInt8] {
    var tags = Self.tags(of: sources[Int.random(in: sources.indices, using: &random)])
    for _ in 0..<Int.random(in: 1...4, using: &random) {
      let place = Int.random(in: tags.indices, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0 where tags[place].starts(with: "{{".utf8): tags.remove(at: place)
      case 1:
        let other = Self.tags(of: sources[Int.random(in: sources.indices, using: &random)])
        let expressions = other.filter { $0.starts(with: "{{".utf8) || $0.starts(with: "{% set".utf8) }
        if let expression = expressions.randomElement(using: &random) { tags.insert(expression, at: place) }
      default:
        let statement = Self.statements[Int.random(in: Self.statements.indices, using: &random)]
        tags.insert(Array(statement.utf8), at: place)
      }
      if tags.isEmpty { return [] }
    }
    return Array(tags.joined())
  }

  private static let statements = [
    "{% set x = messages %}", "{% set x = x ~ x %}", "{% set x = [x, x] %}", "{% set x = {'a': x} %}",
    "{% set ns = namespace(x=x, y=messages) %}", "{% set ns.x = ns %}", "{% set ns.x = [ns.x] %}",
    "{% set messages = messages + messages %}", "{% set tools = messages %}", "{% set content = messages %}",
    "{% set message = x %}", "{% macro x(a, b=x) %}{{ a }}{{ caller() }}{{ x(b) }}{% endmacro %}",
    "{% call(y) x(messages) %}{{ y }}{% endcall %}", "{% for y in x recursive %}{{ loop(y) }}{% endfor %}",
    "{% for x in messages %}{{ x }}{% endfor %}", "{% set x %}{{ messages }}{% endset %}", "{{ x | tojson(indent=2) }}",
    "{{ messages | map('list') | map('join', x) | list }}", "{{ x[::-1] }}", "{{ x * 1000 }}", "{{ x % messages }}",
    "{{ x.format(messages, a=x) }}", "{{ messages | sort(attribute='role') | groupby('content') }}",
    "{{ messages | string | replace('', x) | indent(7) | title }}", "{{ x.split(x) }}", "{{ -x // 0.0 }}",
    "{{ x == messages }}{{ x < messages }}", "{{ messages | batch(2, x) | list | slice(3) | list }}",
    "{{ messages | dictsort }}", "{{ raise_exception(x) }}", "{{ loop }}", "{{ x() }}", "{{ namespace }}",
    "{{ cycler(x) }}",
    "{{ x | unique | list }}{{ x | min }}{{ x | sum }}", "{{ x | int ** 3 }}{{ x | round(2) }}",
    "{{ x | e | safe + x }}",
  ]

  private mutating func mutatedByBytes() -> [UInt8] {
    var bytes = sources[Int.random(in: sources.indices, using: &random)]
    for _ in 0..<Int.random(in: 1...6, using: &random) {
      switch Int.random(in: 0..<6, using: &random) {
      case 0: bytes.removeSubrange(range(in: bytes))
      case 1: bytes.insert(contentsOf: bytes[range(in: bytes)], at: Int.random(in: 0...bytes.count, using: &random))
      case 2:
        let other = sources[Int.random(in: sources.indices, using: &random)]
        bytes.replaceSubrange(range(in: bytes), with: other[range(in: other)])
      default:
        let word = Self.words[Int.random(in: Self.words.indices, using: &random)]
        let place = Int.random(in: 0...bytes.count, using: &random)
        bytes.replaceSubrange(
          place..<min(bytes.count, place + Int.random(in: 0...word.count, using: &random)), with: word)
      }
      if bytes.count > 1 << 16 { bytes.removeSubrange((1 << 16)...) }
    }
    return bytes
  }

  private mutating func range(in bytes: [UInt8]) -> Range<Int> {
    let start = Int.random(in: 0...bytes.count, using: &random)
    let length = 1 << Int.random(in: 0...8, using: &random)
    return start..<min(bytes.count, start + length)
  }
}
