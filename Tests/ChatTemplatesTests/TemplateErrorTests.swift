import ModelJSON
import Testing

@testable import ChatTemplates

/// Errors say what and where, in one line.
@Suite struct TemplateErrorTests {
  @Test(arguments: [
    ("{{ raise_exception('no ' ~ x) }}", "t.jinja: line 1, column 19: no a"),
    ("a\nb {{ y.z }}", "t.jinja: line 2, column 7: 'y' is undefined"),
    ("\r\n\r\n{{ x.y.z }}", "t.jinja: line 3, column 7: 'str object' has no attribute 'y'"),
    ("é🎉{{ 1 / 0 }}", "t.jinja: line 1, column 8: division by zero"),
    ("{% if x %}", "t.jinja: line 1, column 11: the template ends before 'elif' or 'else' or 'endif'"),
    ("{% foo %}", "t.jinja: line 1, column 4: unknown tag 'foo'"),
    ("\n  {{ x | foo }}", "t.jinja: line 2, column 10: no filter is called 'foo'"),
    ("{{ x is foo }}", "t.jinja: line 1, column 9: no test is called 'foo'"),
    ("{{ 'a }}", "t.jinja: line 1, column 4: the string has no end"),
    ("{{ x", "t.jinja: line 1, column 1: the tag has no end"),
    ("{# x", "t.jinja: line 1, column 1: the comment has no end"),
    ("{{ (x] }}", "t.jinja: line 1, column 6: unexpected ']', expected ')'"),
    ("{{ x y }}", "t.jinja: line 1, column 6: expected '}}', got 'y'"),
    ("{% set x.y = 1 %}", "t.jinja: line 1, column 8: cannot assign attribute on non-namespace object"),
    (
      "{{ [].append(1) }}",
      "t.jinja: line 1, column 13: 'append' would change a list: templates may not change what they are given"
    ),
    ("{{ 9223372036854775808 }}", "t.jinja: line 1, column 4: the number is too large for 64 bits"),
    ("{{ '\\u12' }}", "t.jinja: line 1, column 5: an escape in a string lacks digits"),
    ("{{ '\\ud800' }}", "t.jinja: line 1, column 5: an escape in a string is no character"),
    ("{{ strftime_now('%Y') }}", "t.jinja: line 1, column 16: strftime_now: no time was given"),
  ])
  func `what and where`(source: String, description: String) throws {
    var values = JSONObject()
    values["x"] = "a"
    #expect {
      try ChatTemplate(source, name: "t.jinja").render(RenderingVariables(values))
    } throws: { error in
      "\(error)" == description
    }
  }

  @Test(arguments: [
    ("2026-11-29", "%a %d %b %Y %H:%M:%S %j %U %W %V %G %u %w", "Sun 29 Nov 2026 00:00:00 333 48 47 48 2026 7 0"),
    (
      "2026-11-29T21:10:35", "%I:%M %p %y %-d %-I %e %D %F %T %R %c",
      "09:10 PM 26 29 9 29 11/29/26 2026-11-29 21:10:35 21:10 Sun Nov 29 21:10:35 2026"
    ),
    ("2024-02-29 00:05", "%A %B %j %I %l %k", "Thursday February 060 12 12  0"),
    ("2021-01-03", "%V %G %U %W", "53 2020 01 00"),
    ("2020-12-31T23:59:60Z", "%S %V %u %%%", "60 53 4 %%"), ("0001-01-01", "%A %Y %Q", "Monday 1 %Q"),
  ])
  func `time in C's words`(time: String, format: String, expected: String) {
    #expect(TemplateTime(time)?.formatted(format) == expected)
  }

  @Test(arguments: [
    "", "2026", "2026-13-01", "2025-02-29", "2026-1-1T", "2026-11-29T25:00", "2026-11-29T1", "x", "2026-11-29Z",
    "20266-1-1",
  ])
  func `what is no time`(text: String) { #expect(TemplateTime(text) == nil) }
}
