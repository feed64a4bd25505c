import Testing

/// A schema, and texts that it is to accept and to reject.
struct SchemaCase: Sendable, CustomTestStringConvertible {
  let schema: String
  let accepted: [String]
  let rejected: [String]

  init(_ schema: String, _ accepted: [String], not rejected: [String]) {
    (self.schema, self.accepted, self.rejected) = (schema, accepted, rejected)
  }

  var testDescription: String { schema }
}

extension SchemaCase {
  static let scalars: [SchemaCase] = [
    SchemaCase(#"{"type":"null"}"#, ["null", " null", "\nnull"], not: ["nul", "nulll", "0", "", "null ", "\"null\""]),
    SchemaCase(#"{"type":"boolean"}"#, ["true", "false"], not: ["True", "tru", "1", "truefalse"]),
    SchemaCase(
      #"{"type":"integer"}"#, ["0", "7", "-7", "10", "123456789012345678"],
      not: ["-0", "01", "+1", "1.0", "1e3", "1.", "-", "", "1234567890123456789", "0x1"]),
    SchemaCase(
      #"{"type":"number"}"#, ["0", "-0", "0.5", "-1.25", "1e5", "1E+09", "2.5e-3", "12345678.125"],
      not: [".5", "1.", "1e", "01.5", "--1", "1e+", "NaN", "Infinity", "1e100", "1.2.3", "1,5"]),
    SchemaCase(#"{"type":["integer","null"]}"#, ["3", "null"], not: ["\"3\"", "3.5", "true"]),
    SchemaCase(#"{"type":["string","number"]}"#, ["\"a\"", "1.5"], not: ["null", "[]"]),
    SchemaCase(#"{"type":"integer","minimum":0}"#, ["0", "5", "999"], not: ["-1", "-0"]),
    SchemaCase(#"{"type":"integer","minimum":5}"#, ["5", "6", "10", "5000"], not: ["4", "0", "-5", "05"]),
    SchemaCase(#"{"type":"integer","maximum":5}"#, ["5", "0", "-1", "-10000"], not: ["6", "10", "50"]),
    SchemaCase(
      #"{"type":"integer","minimum":-12,"maximum":123}"#, ["-12", "-9", "0", "99", "123"],
      not: ["-13", "-20", "124", "200", "1000", "-100"]),
    SchemaCase(
      #"{"type":"integer","exclusiveMinimum":-3,"exclusiveMaximum":3}"#, ["-2", "0", "2"], not: ["-3", "3", "30"]),
    SchemaCase(
      #"{"type":"integer","minimum":1998,"maximum":2003}"#, ["1998", "2000", "2003"], not: ["1997", "2004", "199"]),
    SchemaCase(#"{"type":"integer","maximum":-5}"#, ["-5", "-6", "-50"], not: ["-4", "5", "0"]),
    SchemaCase(#"{"type":"integer","minimum":2.5}"#, ["3", "10"], not: ["2", "2.5"]),
    SchemaCase(#"{"type":"integer","multipleOf":7}"#, ["0", "7", "-14", "700"], not: ["1", "8", "-13", "71"]),
    SchemaCase(
      #"{"type":"integer","multipleOf":5,"minimum":12,"maximum":31}"#, ["15", "20", "25", "30"],
      not: ["10", "12", "35", "31"]),
    SchemaCase(#"{"type":"integer","multipleOf":1000}"#, ["0", "1000", "-25000"], not: ["100", "1001", "500"]),
    SchemaCase(#"{"type":"number","multipleOf":3}"#, ["3", "-6", "0"], not: ["1", "3.0", "1.5"]),
    SchemaCase(#"{"type":"number","multipleOf":0.01}"#, ["1", "1.5", "1.25", "-0.01"], not: ["1.255", "1e-2"]),
    SchemaCase(
      #"{"type":"number","minimum":0,"maximum":1}"#, ["0", "1", "0.5", "0.0", "1.0", "0.999", "1.000"],
      not: ["1.1", "-0.1", "2", "1.0001", "10", "-0"]),
    SchemaCase(
      #"{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}"#, ["0.1", "0.001", "0.99"],
      not: ["0", "1", "0.0", "0.000", "1.0", "-0.5"]),
    SchemaCase(
      #"{"type":"number","minimum":-2.5,"maximum":10.25}"#,
      ["-2.5", "-2.50", "-2", "-0.1", "10.25", "10", "9.99", "0"],
      not: ["-2.51", "-3", "10.26", "10.3", "11", "-2.6", "100"]),
    SchemaCase(
      #"{"type":"number","minimum":0.125}"#, ["0.125", "0.2", "0.13", "1", "77"], not: ["0.12", "0.1249", "0"]),
    SchemaCase(
      #"{"type":"number","exclusiveMaximum":-0.5}"#, ["-0.51", "-1", "-0.6"], not: ["-0.5", "-0.50", "-0.4", "0", "1"]),
    SchemaCase(
      #"{"type":"number","maximum":1e15}"#, ["1000000000000000", "-5"], not: ["1000000000000001", "9000000000000000"]),
    SchemaCase(#"{"type":"integer","maximum":1e300}"#, ["123"], not: ["1.5"]),
    SchemaCase(
      #"{"type":"integer","format":"int32"}"#, ["2147483647", "-2147483648"], not: ["2147483648", "-2147483649"]),
    SchemaCase(#"{"minimum":3}"#, ["3", "3.5"], not: ["2", "\"a\"", "null"]),
    SchemaCase(#"{"const":5}"#, ["5"], not: ["5.0", "50", "\"5\""]),
    SchemaCase(#"{"const":-1.5}"#, ["-1.5"], not: ["-1.50", "1.5"]),
    SchemaCase(#"{"const":null}"#, ["null"], not: ["0", "\"null\""]),
    SchemaCase(#"{"const":"a\"b\\\n\u0001é"}"#, [#""a\"b\\\n\u0001é""#], not: [#""a\"b""#, "\"a\"b\""]),
    SchemaCase(
      #"{"const":{"a":[1,{"b":null}],"c":"x"}}"#,
      [#"{"a":[1,{"b":null}],"c":"x"}"#, "{ \"a\": [1, {\"b\": null}],\n  \"c\": \"x\" }"],
      not: [#"{"c":"x","a":[1,{"b":null}]}"#, #"{"a":[1],"c":"x"}"#, "{}"]),
    SchemaCase(#"{"const":[]}"#, ["[]", "[ ]"], not: ["[1]", "{}"]),
    SchemaCase(
      #"{"enum":["red","green","red-ish"]}"#, ["\"red\"", "\"red-ish\"", "\"green\""],
      not: ["\"re\"", "\"red-\"", "\"blue\"", "red"]),
    SchemaCase(
      #"{"enum":[1,"1",true,null,1.5]}"#, ["1", "\"1\"", "true", "null", "1.5"], not: ["false", "2", "1.", "\"true\""]),
    SchemaCase(#"{"type":"string","enum":["a",1,null]}"#, ["\"a\""], not: ["1", "null"]),
    SchemaCase(#"{"enum":[1,5,9],"minimum":4}"#, ["5", "9"], not: ["1"]),
    SchemaCase(#"{"enum":["a","abc","abcd"],"minLength":2,"maxLength":3}"#, ["\"abc\""], not: ["\"a\"", "\"abcd\""]),
    SchemaCase(#"{"enum":["a1","b2","cc"],"pattern":"[0-9]"}"#, ["\"a1\"", "\"b2\""], not: ["\"cc\""]),
    SchemaCase(#"{"enum":[[1,2],{"x":1}]}"#, ["[1,2]", "{\"x\":1}"], not: ["[1]", "{\"x\":2}", "[1,2,3]"]),
    SchemaCase(#"{"enum":["日本","日光"]}"#, ["\"日本\"", "\"日光\""], not: ["\"日\"", "\"本\""]),
    SchemaCase(
      #"true"#, ["1", "\"a\"", "[1,{\"a\":[]}]", "null", "{\"a\":{\"b\":1}}"], not: ["", "[1,]", "{a:1}", "{\"a\"}"]),
    SchemaCase(#"{}"#, ["1", "{}", "[]", "[[[]]]"], not: ["[", "]", "{]"]),
    SchemaCase(
      #"{"description":"anything","title":"x","default":3,"examples":[1],"x-order":2}"#, ["\"a\"", "1"], not: ["a"]),
  ]

  static let strings: [SchemaCase] = [
    SchemaCase(
      #"{"type":"string"}"#,
      ["\"\"", "\"abc\"", "\"é日😀\"", #""\n\t\"\\\/\b\f\r""#, #""\u00e9\uD83D\ude00""#, "\"\u{7f}\""],
      not: [
        "\"", "abc", "\"a", "\"a\"b", #""\x""#, #""\u12""#, #""\ud800""#, #""\udc00""#, #""\ud800\u0041""#, "\"a\nb\"",
        "\"\t\"",
      ]),
    SchemaCase(
      #"{"type":"string","minLength":2}"#, ["\"ab\"", "\"abc\"", "\"é日\"", #""\u0041b""#],
      not: ["\"a\"", "\"\"", "\"😀\""]),
    SchemaCase(
      #"{"type":"string","maxLength":2}"#, ["\"\"", "\"a\"", "\"日本\"", "\"😀😀\"", #""\ud83d\ude00\n""#],
      not: ["\"abc\"", #""\u0041\u0042\u0043""#]),
    SchemaCase(
      #"{"type":"string","minLength":3,"maxLength":3}"#, ["\"abc\"", "\"日本語\""], not: ["\"ab\"", "\"abcd\""]),
    SchemaCase(#"{"type":"string","maxLength":0}"#, ["\"\""], not: ["\"a\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^[a-z]+$"}"#, ["\"abc\""], not: ["\"\"", "\"aB\"", "\"a1\"", #""\u0061""#]),
    SchemaCase(
      #"{"type":"string","pattern":"ab"}"#, ["\"ab\"", "\"xxabyy\"", "\"aab\"", "\"日ab\""], not: ["\"a b\"", "\"ba\""]),
    SchemaCase(#"{"type":"string","pattern":"^ab"}"#, ["\"ab\"", "\"abc\\n\""], not: ["\"cab\""]),
    SchemaCase(#"{"type":"string","pattern":"ab$"}"#, ["\"ab\"", "\"xab\""], not: ["\"abx\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^(a|bc)*d?$"}"#, ["\"\"", "\"abca\"", "\"bcd\"", "\"d\""], not: ["\"b\"", "\"dd\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^a{2,3}b{0,1}c{2}$"}"#, ["\"aacc\"", "\"aaabcc\""],
      not: ["\"acc\"", "\"aaaacc\"", "\"aaccc\""]),
    SchemaCase(#"{"type":"string","pattern":"^a{2,}?$"}"#, ["\"aa\"", "\"aaaaa\""], not: ["\"a\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^\\d{3}-\\w+\\s?$"}"#, ["\"123-a_9\"", "\"000-x \""],
      not: ["\"12-a\"", "\"123-é\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^[^a-c\\d]$"}"#, ["\"d\"", "\"é\"", #""\\""#, #""\n""#],
      not: ["\"a\"", "\"7\"", "\"dd\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^.$"}"#, ["\"a\"", "\"日\"", "\"😀\"", #""\"""#], not: ["\"\"", #""\n""#, "\"ab\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^[\\u00e0-\\u00ff]+$"}"#, ["\"é\"", "\"àÿ\""], not: ["\"e\"", "\"ß\\u00e9\""]),
    SchemaCase(#"{"type":"string","pattern":"^\\u{1F600}\\x41$"}"#, ["\"😀A\""], not: ["\"😀\""]),
    SchemaCase(#"{"type":"string","pattern":"^[\\uD83D\\uDE00]$"}"#, ["\"😀\""], not: ["\"😁\""]),
    SchemaCase(#"{"type":"string","pattern":"^\\/\\.\\-\\[\\]$"}"#, ["\"/.-[]\""], not: [#""\/.-[]""#]),
    SchemaCase(#"{"type":"string","pattern":"^\\\\\"$"}"#, [#""\\\"""#], not: [#""\\""#]),
    SchemaCase(
      #"{"type":"string","pattern":"^(?<year>\\d{4})-(?:0[1-9]|1[0-2])$"}"#, ["\"2024-12\""], not: ["\"2024-13\""]),
    SchemaCase(#"{"type":"string","pattern":"^$"}"#, ["\"\""], not: ["\"a\""]),
    SchemaCase(#"{"type":"string","pattern":""}"#, ["\"\"", "\"abc\""], not: ["\"a"]),
    SchemaCase(#"{"type":"string","pattern":"^(^a|b$)$"}"#, ["\"a\"", "\"b\""], not: ["\"ab\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^[a-z]*$","maxLength":3,"minLength":1}"#, ["\"a\"", "\"abc\""],
      not: ["\"\"", "\"abcd\"", "\"A\""]),
    SchemaCase(
      #"{"allOf":[{"type":"string","pattern":"a"},{"pattern":"b"}]}"#, ["\"ab\"", "\"bxa\""], not: ["\"a\"", "\"b\""]),
    SchemaCase(
      #"{"type":"string","pattern":"^(ab?)*$"}"#, ["\"\"", "\"aab\"", "\"abab\""], not: ["\"b\"", "\"abb\""]),
    SchemaCase(#"{"type":"string","pattern":"^(?:(?:a*)*)*$"}"#, ["\"\"", "\"aaa\""], not: ["\"b\""]),
    SchemaCase(#"{"type":"string","pattern":"^[]$|^x$"}"#, ["\"x\""], not: ["\"\""]),
    SchemaCase(
      #"{"type":"string","format":"date"}"#, ["\"2024-02-29\"", "\"2000-02-29\"", "\"1999-12-31\"", "\"0001-01-01\""],
      not: [
        "\"2023-02-29\"", "\"1900-02-29\"", "\"2024-04-31\"", "\"2024-13-01\"", "\"2024-1-01\"", "\"0000-01-01\"",
        "\"2024-00-10\"",
      ]),
    SchemaCase(
      #"{"type":"string","format":"time"}"#, ["\"23:59:59Z\"", "\"00:00:00.5+02:00\""],
      not: ["\"24:00:00Z\"", "\"12:60:00Z\"", "\"12:00Z\"", "\"12:00:00\""]),
    SchemaCase(
      #"{"type":"string","format":"date-time"}"#, ["\"2024-02-29T12:30:00Z\"", "\"2024-01-31T00:00:00.123456-05:30\""],
      not: ["\"2024-02-30T12:30:00Z\"", "\"2024-01-31 00:00:00Z\"", "\"2024-01-31\""]),
    SchemaCase(
      #"{"type":"string","format":"duration"}"#, ["\"P1Y2M3D\"", "\"PT5M\"", "\"P2W\"", "\"P1DT1H\""],
      not: ["\"P\"", "\"PT\"", "\"1D\"", "\"P1YT\""]),
    SchemaCase(
      #"{"type":"string","format":"uuid"}"#, ["\"123e4567-e89b-12d3-a456-426614174000\""],
      not: ["\"123e4567-e89b-12d3-a456-42661417400\"", "\"123e4567e89b12d3a456426614174000\""]),
    SchemaCase(
      #"{"type":"string","format":"email"}"#, ["\"a@b.cd\"", "\"first.last+tag@sub.example.org\""],
      not: ["\"a@b\"", "\"@b.cd\"", "\"a b@c.de\"", "\"a..b@c.de\""]),
    SchemaCase(
      #"{"type":"string","format":"hostname"}"#, ["\"example.com\"", "\"a\"", "\"x-1.y\""],
      not: ["\"-a\"", "\"a-\"", "\"a..b\"", "\"\""]),
    SchemaCase(
      #"{"type":"string","format":"ipv4"}"#, ["\"0.0.0.0\"", "\"255.255.255.255\""],
      not: ["\"256.1.1.1\"", "\"1.2.3\"", "\"01.2.3.4\""]),
    SchemaCase(
      #"{"type":"string","format":"ipv6"}"#,
      ["\"::\"", "\"::1\"", "\"1::\"", "\"2001:db8::ff00:42:8329\"", "\"1:2:3:4:5:6:7:8\""],
      not: ["\"1:2:3:4:5:6:7\"", "\"1::2::3\"", "\"12345::\"", "\":1\"", "\"1:2:3:4:5:6:7:8:9\"", "\":::\""]),
    SchemaCase(
      #"{"type":"string","format":"uri"}"#,
      ["\"https://example.org/a?b=c#d\"", "\"mailto:a@b.cd\"", "\"urn:isbn:123\"", "\"http://h:8080\""],
      not: ["\"example.org\"", "\"http://a b\"", "\"://x\"", "\"http://%zz\""]),
    SchemaCase(#"{"type":"string","format":"password"}"#, ["\"x\""], not: ["1"]),
    SchemaCase(#"{"type":"string","format":"ipv4","maxLength":7}"#, ["\"1.2.3.4\""], not: ["\"11.2.3.4\""]),
    SchemaCase(
      #"{"type":"string","maxLength":2000}"#, ["\"\(String(repeating: "é", count: 2000))\""],
      not: ["\"\(String(repeating: "a", count: 2001))\""]),
    SchemaCase(
      #"{"type":"string","minLength":500,"maxLength":501}"#, ["\"\(String(repeating: "a", count: 500))\""],
      not: ["\"\(String(repeating: "a", count: 499))\"", "\"\(String(repeating: "a", count: 502))\""]),
    SchemaCase(#"{"pattern":"^a"}"#, ["\"a\""], not: ["1", "\"b\""]),
  ]
}
