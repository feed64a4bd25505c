import ModelJSON
import Testing

/// Members keep their order, repeated keys take the last value, and keys are bytes.
struct JSONObjectTests {
  @Test func keepsOrderAndTakesTheLastOfDuplicates() throws {
    let object = try #require(try JSONValue(parsing: "{\"b\":1,\"a\":2,\"b\":3}").object)
    #expect(object.keys == ["b", "a"])
    #expect(object["b"] == 3)
    #expect(object["c"] == nil)
    #expect(object.repeatedKey == "b")
    #expect(try JSONValue(parsing: "{\"b\":1,\"a\":2}").object?.repeatedKey == nil)
  }

  /// Both sides of the change from linear search to the table, and each doubling of the table.
  @Test(arguments: [0, 1, 7, 8, 9, 15, 16, 17, 33, 1000])
  func findsEveryMember(_ count: Int) throws {
    var object = JSONObject()
    for index in 0..<count { object["key \(index)"] = JSONValue(index) }
    for index in 0..<count { object["key \(index)"] = JSONValue(-index) }
    #expect(object.count == count)
    for (index, member) in object.enumerated() {
      #expect(member.key == "key \(index)")
      #expect(object["key \(index)"] == JSONValue(-index))
      #expect(object.position(of: member.key) == index)
    }
    #expect(object["key \(count)"] == nil)
  }

  /// Swift's `==` takes the composed and the decomposed e with acute for one string; two tokens they are.
  @Test(arguments: [0, 20])
  func tellsCanonicallyEquivalentKeysApart(padding: Int) throws {
    let filler = (0..<padding).map { "\"\($0)\":0," }.joined()
    let object = try #require(try JSONValue(parsing: "{\(filler)\"\u{e9}\":1,\"e\u{301}\":2}").object)
    #expect(object.count == padding + 2)
    #expect(object["\u{e9}"] == 1)
    #expect(object["e\u{301}"] == 2)
    #expect(JSONValue.string("\u{e9}") != .string("e\u{301}"))
  }

  @Test func accessorsGiveTheirTypeOrNothing() {
    let value: JSONValue = ["i": 3, "d": 3.5, "w": 4.0, "s": "x", "b": true, "a": [1], "n": nil]
    #expect(value["i"]?.integer == 3)
    #expect(value["i"]?.double == 3)
    #expect(value["d"]?.integer == nil)
    #expect(value["d"]?.double == 3.5)
    #expect(value["w"]?.integer == 4)
    #expect(value["s"]?.string == "x")
    #expect(value["s"]?.integer == nil)
    #expect(value["b"]?.bool == true)
    #expect(value["b"]?.integer == nil)
    #expect(value["a"]?.array == [1])
    #expect(value["n"]?.isNull == true)
    #expect(value["i"]?["x"] == nil)
  }
}
