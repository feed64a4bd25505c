import ModelJSON
import Testing

/// What the parser accepts, what it gives, what it refuses and where.
struct JSONParserTests {
  @Test(
    arguments: [
      ("null", JSONValue.null), (" true ", true), ("false", false), ("\u{FEFF}1", 1),
      ("0", 0), ("-1", -1), ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)),
      ("[]", []), ("[1,[2] , {}]", [1, [2], [:]]), ("{\"a\" : {\"b\":[null]}}", ["a": ["b": [nil]]]),
      ("\"\"", ""), ("\"caf\u{e9}\"", "caf\u{e9}"), ("\"a\\/b\\\\\\\"\\b\\f\\n\\r\\t\"", "a/b\\\"\u{8}\u{c}\n\r\t"),
      ("\"\\u0041\\u00e9\\u20AC\"", "A\u{e9}\u{20ac}"), ("\"x\\u0000y\"", "x\u{0}y"),
      ("\"\\ud83d\\ude00!\"", "\u{1F600}!"), ("\"\u{e9}\\u00e9\u{1F600}\"", "\u{e9}\u{e9}\u{1F600}"),
    ] as [(String, JSONValue)])
  func accepts(_ text: String, _ expected: JSONValue) throws {
    #expect(try JSONValue(parsing: text) == expected)
  }

  @Test(arguments: [
    ("\"\\ud83d\"", "\u{FFFD}"), ("\"\\ude00\"", "\u{FFFD}"), ("\"\\ud83dx\"", "\u{FFFD}x"),
    ("\"\\ud83d\\n\"", "\u{FFFD}\n"), ("\"\\ud83d\\ud83d\\ude00\"", "\u{FFFD}\u{1F600}"),
    ("\"\\ud83d\\u0041\"", "\u{FFFD}A"), ("\"\\ude00\\ud83d\"", "\u{FFFD}\u{FFFD}"),
  ])
  func replacesLoneSurrogates(_ text: String, _ expected: String) throws {
    #expect(try JSONValue(parsing: text) == .string(expected))
  }

  @Test(
    arguments: [
      ("1.0", 1.0), ("-0", -0.0), ("-0.0", -0.0), ("1e2", 100), ("1E+2", 100), ("12.5e-1", 1.25), ("0.1", 0.1),
      ("1e-05", 1e-5), ("5e-324", .leastNonzeroMagnitude), ("2.2250738585072014e-308", .leastNormalMagnitude),
      ("1e-400", 0),
      ("9223372036854775808", 9223372036854775808), ("123456789012345678901234567890", 123456789012345677877719597056),
      ("0.000000000000000000000000000001", 1e-30), ("9007199254740993.0", 9007199254740992),
      ("1.7976931348623157e308", .greatestFiniteMagnitude), ("10000000000000000000000e-22", 1), ("0e999999999999", 0),
      ("-12.345678", -12.345678), ("999999999999999e22", 999999999999999e22),
    ] as [(String, Double)])
  func readsDoubles(_ text: String, _ expected: Double) throws {
    guard case .number(let value) = try JSONValue(parsing: text) else {
      Issue.record("\(text) is no double")
      return
    }
    #expect(value.bitPattern == expected.bitPattern)
  }

  /// Python writes them, though JSON has none of them.
  @Test func readsWhatIsNoNumber() throws {
    #expect(try JSONValue(parsing: "[Infinity, -Infinity,-1]") == [.number(.infinity), .number(-.infinity), -1])
    #expect(try JSONValue(parsing: " NaN ").double?.isNaN == true)
  }

  @Test(arguments: [
    ("", 1, 1, "expected a value"), ("  ", 1, 3, "expected a value"), ("nul", 1, 1, "expected a value"),
    ("truefalse", 1, 5, "something follows"), ("[1,]", 1, 4, "expected a value"), ("[1 2]", 1, 4, "expected ','"),
    ("[", 1, 2, "expected a value"), ("[1", 1, 3, "expected ','"), ("{", 1, 2, "expected a key"),
    ("{\"a\"}", 1, 5, "expected ':'"), ("{\"a\":1,}", 1, 8, "expected a key"), ("{a:1}", 1, 2, "expected a key"),
    ("{\"a\":}", 1, 6, "expected a value"), ("{\"a\":1", 1, 7, "end of the object"),
    ("\"a", 1, 1, "no end"), ("\"a\\", 1, 3, "unknown escape"), ("\"a\\n", 1, 1, "no end"),
    ("\"\\x\"", 1, 2, "unknown escape"), ("\"\\u12g4\"", 1, 2, "unknown escape"), ("\"\\u12", 1, 2, "unknown escape"),
    ("\"a\nb\"", 1, 3, "control character 10"), ("\"\\n\u{1}\"", 1, 4, "control character 1"),
    ("01", 1, 1, "malformed"), ("-", 1, 1, "malformed"), ("1.", 1, 1, "malformed"), (".5", 1, 1, "expected a value"),
    ("1e", 1, 1, "malformed"), ("1e+", 1, 1, "malformed"), ("+1", 1, 1, "expected a value"),
    ("1e400", 1, 1, "too large"), ("-1e999999999999999999999", 1, 1, "too large"), ("Nan", 1, 1, "expected a value"),
    ("-Inf", 1, 1, "expected a value"), ("Infinite", 1, 1, "expected a value"),
    ("[\n1,\n  ?]", 3, 3, "expected a value"), ("{\"a\": 1}\n}", 2, 1, "something follows"),
    ("'a'", 1, 1, "expected a value"), ("[1]\u{0}", 1, 4, "something follows"),
  ])
  func refuses(_ text: String, line: Int, column: Int, reason: String) throws {
    let error = try #require(throws: JSONError.self) { try JSONValue(parsing: text) }
    #expect((error.line, error.column) == (line, column), "\(error)")
    #expect(error.description.contains(reason), "\(error)")
  }

  @Test(
    arguments: [
      ([0x80], 0), ([0xc3], 0), ([0x61, 0xc3, 0x61], 1), ([0xc0, 0x80], 0), ([0xed, 0xa0, 0x80], 0),
      ([0xc3, 0xa9, 0xf5, 0x80, 0x80, 0x80], 2), ([0xf4, 0x90, 0x80, 0x80], 0), ([0x5c, 0x6e, 0x61, 0xff], 3),
      ([0xc3, 0x5c, 0x6e], 0), ([0xe2, 0x82], 0),
    ] as [([UInt8], Int)])
  func refusesInvalidUTF8(_ body: [UInt8], _ offset: Int) throws {
    let error = try #require(throws: JSONError.self) { try JSONValue(parsing: [0x22] + body + [0x22]) }
    #expect(error.offset == offset + 1)
    #expect(error.description.contains("invalid UTF-8"))
  }

  @Test func limitsDepth() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    #expect(throws: Never.self) { try JSONValue(parsing: nested(128)) }
    let error = try #require(throws: JSONError.self) { try JSONValue(parsing: nested(129)) }
    #expect(error.column == 129)
    #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "{\"a\":", count: 1_000_000)) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 1_000_000)) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: "[[1]]", depthLimit: 1) }
  }

  /// Every prefix of a text with every construct is refused, and no changed byte makes the parser misbehave.
  @Test func survivesDamage() throws {
    let text = Array("{\"k\": [1, -2.5e3, \"a\\u00e9\\ud83d\\ude00\u{20ac}\", true, null, {\"\": false}]}".utf8)
    #expect(throws: Never.self) { try JSONValue(parsing: text) }
    for length in 0..<text.count {
      #expect(throws: JSONError.self) { try JSONValue(parsing: Array(text[..<length])) }
    }
    for index in text.indices {
      for byte in UInt8.min...UInt8.max {
        var damaged = text
        damaged[index] = byte
        guard let value = try? JSONValue(parsing: damaged) else { continue }
        #expect(try JSONValue(parsing: value.text) == value)
      }
    }
  }
}
