extension SchemaCase {
  static let containers: [SchemaCase] = [
    SchemaCase(
      #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a","b"],"additionalProperties":false}"#,
      [
        #"{"a":1,"b":"x"}"#, #"{"a": 1, "b": "x"}"#, "{\n  \"a\": 1,\n  \"b\": \"x\"\n}",
        "{\n\t\"a\":1,\n\t\"b\":\"x\"}",
      ],
      not: [
        #"{"b":"x","a":1}"#, #"{"a":1}"#, "{}", #"{"a":1,"b":"x","c":1}"#, #"{"a":1,"b":"x",}"#, #"{"a" :1,"b":"x"}"#,
        "{\"a\":1,\n\n\"b\":\"x\"}", "{\"a\":  1,\"b\":\"x\"}", #"{"a":1,"a":1,"b":"x"}"#,
      ]),
    SchemaCase(
      #"{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"]}"#,
      [#"{"b":null}"#, #"{"a":null,"b":null}"#, #"{"b":null,"c":null}"#, #"{"a":null,"b":null,"c":null}"#],
      not: [#"{"a":null}"#, #"{"c":null}"#, #"{"a":null,"c":null}"#, "{}", #"{,"b":null}"#, #"{"b":null,"d":null}"#]),
    SchemaCase(
      #"{"type":"object","properties":{"a":{"type":"null"}}}"#, ["{}", #"{"a":null}"#, "{ }"],
      not: [#"{"x":1}"#, #"{"a":null,"a":null}"#]),
    SchemaCase(
      #"{"type":"object"}"#, ["{}", #"{"a":1}"#, #"{"a":{"b":[1,"c"]},"d":null}"#, #"{"\u0061\"":1}"#],
      not: ["[]", "{1:2}", #"{"a":1,}"#, #"{"a":}"#]),
    SchemaCase(#"{"type":"object","additionalProperties":false}"#, ["{}"], not: [#"{"a":1}"#]),
    SchemaCase(
      #"{"type":"object","additionalProperties":{"type":"integer"}}"#, ["{}", #"{"a":1,"b":2}"#], not: [#"{"a":"x"}"#]),
    SchemaCase(
      #"{"type":"object","properties":{"a":{"type":"integer"},"ab":{"type":"integer"}},"additionalProperties":{"type":"string"}}"#,
      [#"{"a":1,"x":"y"}"#, #"{"abc":"y"}"#, #"{"":"y","b":"z"}"#, #"{"ab":1,"aé":"x"}"#, #"{"a\n":"x"}"#],
      not: [#"{"a":"y"}"#, #"{"x":"y","a":1}"#, #"{"\u0061":"y"}"#, #"{"x":1}"#, #"{"x":"y","ab":"z"}"#]),
    SchemaCase(
      #"{"type":"object","properties":{"é\"":{"type":"null"}},"required":["é\""],"additionalProperties":true}"#,
      [#"{"é\"":null}"#, #"{"é\"":null,"e":1}"#], not: [#"{"é":null}"#, #"{"e":1}"#]),
    SchemaCase(#"{"type":"object","required":["x"]}"#, [#"{"x":1}"#, #"{"x":[]}"#], not: ["{}", #"{"y":1}"#]),
    SchemaCase(
      #"{"type":"object","required":["x"],"additionalProperties":{"type":"integer"}}"#,
      [#"{"x":1}"#, #"{"x":1,"y":2}"#], not: [#"{"x":"a"}"#]),
    SchemaCase(#"{"properties":{"a":{"type":"integer"}},"required":["a"]}"#, [#"{"a":1}"#], not: ["1", "\"a\"", "{}"]),
    SchemaCase(
      #"{"type":"object","additionalProperties":{"type":"null"},"minProperties":1}"#, [#"{"a":null}"#], not: ["{}"]),
    SchemaCase(
      #"{"type":"object","additionalProperties":{"type":"null"},"maxProperties":2}"#, ["{}", #"{"a":null,"b":null}"#],
      not: [#"{"a":null,"b":null,"c":null}"#]),
    SchemaCase(#"{"type":"object","maxProperties":0}"#, ["{}"], not: [#"{"a":1}"#]),
    SchemaCase(
      #"{"type":"object","propertyNames":{"pattern":"^[a-z]+$"},"additionalProperties":{"type":"integer"}}"#,
      ["{}", #"{"abc":1}"#], not: [#"{"A":1}"#, #"{"abc":"x"}"#]),
    SchemaCase(
      #"{"type":"object","propertyNames":{"enum":["x","y"]}}"#, [#"{"x":1}"#, #"{"y":[],"x":1}"#], not: [#"{"z":1}"#]),
    SchemaCase(
      #"{"type":"object","patternProperties":{"^n_":{"type":"integer"}},"additionalProperties":false}"#,
      ["{}", #"{"n_a":1}"#], not: [#"{"a":1}"#, #"{"n_a":"x"}"#]),
    SchemaCase(
      #"{"type":"object","properties":{"a":{"type":"null"},"b":false},"additionalProperties":false}"#,
      ["{}", #"{"a":null}"#], not: [#"{"b":1}"#]),
    SchemaCase(#"{"type":"array"}"#, ["[]", "[1,\"a\",[]]", "[ 1, 2 ]"], not: ["[1 2]", "[,]", "[1,]"]),
    SchemaCase(
      #"{"type":"array","items":{"type":"integer"}}"#, ["[]", "[1]", "[1,2,3]", "[\n  1,\n  2\n]"],
      not: ["[\"a\"]", "[1,null]", "[1,  2]"]),
    SchemaCase(
      #"{"type":"array","items":{"type":"integer"},"minItems":2}"#, ["[1,2]", "[1,2,3,4]"], not: ["[]", "[1]"]),
    SchemaCase(#"{"type":"array","items":{"type":"integer"},"maxItems":2}"#, ["[]", "[1,2]"], not: ["[1,2,3]"]),
    SchemaCase(
      #"{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}"#, ["[1]", "[1,2,3]"],
      not: ["[]", "[1,2,3,4]"]),
    SchemaCase(#"{"type":"array","maxItems":0}"#, ["[]", "[ ]"], not: ["[1]"]),
    SchemaCase(#"{"type":"array","items":false}"#, ["[]"], not: ["[1]", "[null]"]),
    SchemaCase(#"{"type":"array","minItems":2,"maxItems":2}"#, ["[1,\"a\"]"], not: ["[1]", "[1,2,3]"]),
    SchemaCase(
      #"{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}]}"#, ["[]", "[1]", "[1,\"a\"]"],
      not: ["[\"a\"]", "[1,\"a\",2]", "[1,2]"]),
    SchemaCase(
      #"{"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"string"}}"#,
      ["[]", "[1]", "[1,\"a\",\"b\"]"], not: ["[\"a\"]", "[1,2]"]),
    SchemaCase(
      #"{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"minItems":2,"items":false}"#,
      ["[1,\"a\"]"], not: ["[1]", "[1,\"a\",null]"]),
    SchemaCase(
      #"{"type":"array","items":[{"type":"integer"},{"type":"null"}],"additionalItems":false,"minItems":1}"#,
      ["[1]", "[1,null]"], not: ["[]", "[1,1]", "[1,null,1]"]),
    SchemaCase(
      #"{"type":"array","uniqueItems":true,"maxItems":1,"items":{"type":"integer"}}"#, ["[]", "[3]"], not: ["[3,3]"]),
    SchemaCase(#"{"type":"array","uniqueItems":false,"items":{"type":"null"}}"#, ["[null,null]"], not: ["[1]"]),
    SchemaCase(#"{"items":{"type":"integer"}}"#, ["[1]"], not: ["1"]),
    SchemaCase(
      #"{"type":"array","items":{"type":"array","items":{"type":"boolean"}}}"#, ["[[true],[]]", "[]"],
      not: ["[true]", "[[1]]"]),
    SchemaCase(
      #"{"type":"array","items":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}}"#,
      [#"[{"n":1},{"n":2}]"#], not: [#"[{}]"#]),
  ]

  static let combinations: [SchemaCase] = [
    SchemaCase(#"{"anyOf":[{"type":"integer"},{"type":"string"}]}"#, ["1", "\"a\""], not: ["null", "1.5"]),
    SchemaCase(
      #"{"anyOf":[{"type":"string","maxLength":1},{"type":"string","minLength":3}]}"#, ["\"a\"", "\"abc\""],
      not: ["\"ab\""]),
    SchemaCase(
      #"{"anyOf":[{"type":"integer","maximum":3},{"type":"integer","minimum":10}]}"#, ["3", "10", "-5"],
      not: ["5", "9"]),
    SchemaCase(
      #"{"anyOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"integer"}},"required":["kind","x"]},{"type":"object","properties":{"kind":{"const":"ab"},"y":{"type":"string"}},"required":["kind","y"]}]}"#,
      [#"{"kind":"a","x":1}"#, #"{"kind":"ab","y":"z"}"#],
      not: [#"{"kind":"a","y":"z"}"#, #"{"kind":"ab","x":1}"#, #"{"kind":"a"}"#]),
    SchemaCase(
      #"{"anyOf":[{"type":"object","properties":{"v":{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]},"a":{"type":"null"}},"required":["v","a"]},{"type":"object","properties":{"v":{"type":"object","properties":{"n":{"type":"string"}},"required":["n"]},"b":{"type":"null"}},"required":["v","b"]}]}"#,
      [#"{"v":{"n":1},"a":null}"#, #"{"v":{"n":"1"},"b":null}"#],
      not: [#"{"v":{"n":1},"b":null}"#, #"{"v":{"n":"1"},"a":null}"#]),
    SchemaCase(
      #"{"anyOf":[{"type":"array","items":{"type":"integer"}},{"type":"array","items":{"type":"string"}}]}"#,
      ["[]", "[1,2]", "[\"a\"]"], not: ["[1,\"a\"]"]),
    SchemaCase(
      #"{"type":["object","null"],"properties":{"a":{"type":"integer"}},"required":["a"]}"#, ["null", #"{"a":1}"#],
      not: ["{}"]),
    SchemaCase(
      #"{"oneOf":[{"type":"integer"},{"type":"string"},{"type":"null"}]}"#, ["1", "\"a\"", "null"], not: ["true"]),
    SchemaCase(#"{"oneOf":[{"const":"a"},{"const":"b"}]}"#, ["\"a\"", "\"b\""], not: ["\"c\""]),
    SchemaCase(
      #"{"oneOf":[{"type":"integer","maximum":3},{"type":"integer","exclusiveMinimum":3}]}"#, ["3", "4"], not: ["1.5"]),
    SchemaCase(
      #"{"oneOf":[{"type":"object","properties":{"t":{"const":"x"}},"required":["t"]},{"type":"object","properties":{"t":{"enum":["y","z"]}},"required":["t"]}]}"#,
      [#"{"t":"x"}"#, #"{"t":"z"}"#], not: [#"{"t":"w"}"#]),
    SchemaCase(
      #"{"oneOf":[{"type":"object","properties":{"a":{"type":"null"}},"required":["a"],"additionalProperties":false},{"type":"object","properties":{"b":{"type":"null"}},"required":["b"],"additionalProperties":false}]}"#,
      [#"{"a":null}"#, #"{"b":null}"#], not: ["{}", #"{"a":null,"b":null}"#]),
    SchemaCase(#"{"allOf":[{"type":"integer","minimum":3},{"maximum":5}]}"#, ["3", "5"], not: ["2", "6"]),
    SchemaCase(
      #"{"allOf":[{"type":["integer","string"]},{"type":["string","null"]}]}"#, ["\"a\""], not: ["1", "null"]),
    SchemaCase(#"{"allOf":[{"type":"number"},{"type":"integer"}]}"#, ["1"], not: ["1.5"]),
    SchemaCase(
      #"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"type":"object","properties":{"b":{"type":"string"}},"required":["b"]}]}"#,
      [#"{"a":1,"b":"x"}"#], not: [#"{"a":1}"#, #"{"b":"x","a":1}"#]),
    SchemaCase(
      #"{"allOf":[{"properties":{"a":{"minimum":3}}},{"properties":{"a":{"type":"integer","maximum":5}}}],"type":"object","required":["a"]}"#,
      [#"{"a":3}"#, #"{"a":5}"#], not: [#"{"a":2}"#, #"{"a":6}"#, "{}"]),
    SchemaCase(
      #"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}},"required":["a"]},{"properties":{"a":true},"additionalProperties":false}]}"#,
      [#"{"a":1}"#], not: [#"{"a":1,"b":2}"#]),
    SchemaCase(#"{"allOf":[{"enum":[1,2,3]},{"enum":[2,3,4]}]}"#, ["2", "3"], not: ["1", "4"]),
    SchemaCase(
      #"{"allOf":[{"anyOf":[{"type":"integer"},{"type":"string"}]},{"anyOf":[{"type":"string"},{"type":"null"}]}]}"#,
      ["\"a\""], not: ["1", "null"]),
    SchemaCase(
      #"{"type":"array","allOf":[{"items":{"minimum":1}},{"items":{"type":"integer","maximum":2}},{"maxItems":2}]}"#,
      ["[]", "[1,2]"], not: ["[0]", "[3]", "[1,1,1]"]),
    SchemaCase(
      #"{"type":"string","anyOf":[{"minLength":3},{"const":"a"}]}"#, ["\"a\"", "\"abc\""], not: ["\"b\"", "1"]),
    SchemaCase(##"{"$ref":"#/$defs/x","$defs":{"x":{"type":"integer"}}}"##, ["1"], not: ["\"a\""]),
    SchemaCase(
      ##"{"$ref":"#/definitions/a~1b~0c%20d","definitions":{"a/b~c d":{"type":"null"}}}"##, ["null"], not: ["1"]),
    SchemaCase(
      ##"{"$ref":"#/$defs/x","minimum":5,"$defs":{"x":{"type":"integer","maximum":7}}}"##, ["5", "7"], not: ["4", "8"]),
    SchemaCase(
      ##"{"type":"array","items":{"$ref":"#/$defs/a/anyOf/1"},"$defs":{"a":{"anyOf":[{"type":"integer"},{"type":"null"}]}}}"##,
      ["[null]"], not: ["[1]"]),
    SchemaCase(
      ##"{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["v","next"]}"##,
      [#"{"v":1,"next":null}"#, #"{"v":1,"next":{"v":2,"next":{"v":3,"next":null}}}"#],
      not: [#"{"v":1}"#, #"{"v":1,"next":{"v":2}}"#]),
    SchemaCase(
      ##"{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"name":{"type":"string"},"children":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["name"]}}}"##,
      [
        #"{"name":"a"}"#, #"{"name":"a","children":[]}"#,
        #"{"name":"a","children":[{"name":"b","children":[{"name":"c"}]},{"name":"d"}]}"#,
      ],
      not: [#"{"children":[]}"#, #"{"name":"a","children":[1]}"#]),
    SchemaCase(
      ##"{"$ref":"#/$defs/list","$defs":{"list":{"anyOf":[{"type":"null"},{"type":"array","prefixItems":[{"type":"integer"},{"$ref":"#/$defs/list"}],"minItems":2,"items":false}]}}}"##,
      ["null", "[1,null]", "[1,[2,[3,null]]]"], not: ["[1]", "[1,2]", "[]"]),
    SchemaCase(
      ##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"object","properties":{"b":{"$ref":"#/$defs/b"}}},"b":{"type":"object","properties":{"a":{"$ref":"#/$defs/a"}}}}}"##,
      ["{}", #"{"b":{}}"#, #"{"b":{"a":{"b":{}}}}"#], not: [#"{"a":{}}"#, #"{"b":{"b":{}}}"#]),
    SchemaCase(
      ##"{"$ref":"#/$defs/node","$defs":{"base":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]},"node":{"allOf":[{"$ref":"#/$defs/base"},{"properties":{"child":{"$ref":"#/$defs/node"}}}]}}}"##,
      [#"{"id":1}"#, #"{"id":1,"child":{"id":2,"child":{"id":3}}}"#],
      not: [#"{"child":{"id":2}}"#, #"{"id":1,"child":{}}"#]),
    SchemaCase(#"{"anyOf":[false,{"type":"integer"}]}"#, ["1"], not: ["\"a\""]),
    SchemaCase(
      #"{"type":"object","properties":{"a":true,"b":{}},"required":["a","b"]}"#, [#"{"a":1,"b":[{}]}"#],
      not: [#"{"a":1}"#]),
    SchemaCase(
      #"{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"x","type":"integer"}"#, ["1"], not: ["null"]),
  ]
}
