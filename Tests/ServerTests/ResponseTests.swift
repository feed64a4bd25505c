import Engine
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// OpenAI's `/v1/responses`.
@Suite struct ResponseTests {
  private func ask(
    _ subject: ServerSubject, _ input: JSONValue, _ more: JSONValue = [:], by client: HTTPClient? = nil
  ) async throws -> HTTPClient.Response {
    var members = (["model": "tiny", "input": input, "temperature": 0, "max_output_tokens": 8] as JSONValue).members
    for (name, value) in more.members { members[name] = value }
    return try await (client ?? subject.client).post("/v1/responses", .object(members))
  }

  private func text(_ json: JSONValue) -> String? {
    json["output"]?.array?.last?["content"]?.array?.first?["text"]?.string
  }

  @Test func aResponseIsTheChatsAnswer() async throws {
    try await ServerSubject.run { subject in
      let chat = try await subject.chat([["role": "developer", "content": "Be brief."], user("the sea")]).json
      let parts: JSONValue = [["role": "user", "content": [["type": "input_text", "text": "the sea"]]]]
      for input in ["the sea", parts] as [JSONValue] {
        let response = try await ask(subject, input, ["instructions": "Be brief.", "metadata": ["a": "b"]])
        #expect(response.status == 200, "\(response.body)")
        let json = response.json
        #expect(text(json) == chat.content)
        #expect(json["status"] == "incomplete" && json["incomplete_details"]?["reason"] == "max_output_tokens")
        #expect(json["output"]?.array?.first?["status"] == "incomplete")
        #expect(json["metadata"] == ["a": "b"] && json["instructions"] == "Be brief.")
        let usage = try #require(json["usage"])
        #expect(usage["input_tokens"] == chat["usage"]?["prompt_tokens"])
        #expect(usage["output_tokens"]?.integer == 8)
        let details = try #require(usage["input_tokens_details"])
        let cached = try #require(details["cached_tokens"]?.integer)
        #expect(details["cache_write_tokens"]?.integer == (usage["input_tokens"]?.integer ?? 0) - cached)
      }
    }
  }

  @Test func aModelThatEndsCompletesIt() async throws {
    try await ServerSubject.run(TinyModel(endBias: 10)) { subject in
      let json = try await ask(subject, "the end").json
      #expect(json["status"] == "completed" && json["incomplete_details"] == .null)
      #expect(json["output"]?.array?.first?["status"] == "completed" && text(json) == "")
    }
  }

  @Test func eventsComeInTheirOrder() async throws {
    try await ServerSubject.run { subject in
      let whole = try await ask(subject, "the sea").json
      let response = try await ask(subject, "the sea", ["stream": true])
      let events = try response.events.map { try JSONValue(parsing: $0) }
      let names = response.body.split(separator: "\n").filter { $0.hasPrefix("event: ") }.map {
        String($0.dropFirst(7))
      }
      #expect(names == events.compactMap { $0["type"]?.string })
      #expect(events.compactMap { $0["sequence_number"]?.integer } == Array(events.indices))
      #expect(
        names.filter { $0 != "response.output_text.delta" } == [
          "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
          "response.output_text.done", "response.content_part.done", "response.output_item.done",
          "response.incomplete",
        ])
      let deltas = events.filter { $0["type"] == "response.output_text.delta" }
      #expect(deltas.compactMap { $0["delta"]?.string }.joined() == text(whole))
      let last = try #require(events.last?["response"])
      #expect(text(last) == text(whole))
      let identifier = last["output"]?.array?.first?["id"]
      for event in events where event["item_id"] != nil { #expect(event["item_id"] == identifier) }
      let item = events.first { $0["type"] == "response.output_item.added" }?["item"]
      #expect(item?["id"] == identifier && item?["content"] == [])
      #expect(Set(events.compactMap { $0["response"]?["id"]?.string }).count == 1)
    }
  }

  @Test func aResponseGoesOnFromAnother() async throws {
    try await ServerSubject.run { subject in
      for streams in [false, true] {
        let first = try await ask(subject, "the rain", ["instructions": "Be brief.", "stream": JSONValue(streams)])
        let object =
          streams ? try JSONValue(parsing: first.events[first.events.count - 1])["response"] ?? .null : first.json
        let identifier = try #require(object["id"]?.string)
        let second = try await ask(
          subject, "and then?", ["previous_response_id": .string(identifier), "instructions": "Be kind."])
        let chat = try await subject.chat([
          ["role": "developer", "content": "Be kind."], user("the rain"),
          ["role": "assistant", "content": .string(text(object) ?? "")], user("and then?"),
        ]).json
        #expect(text(second.json) == chat.content, "\(second.body)")
        #expect(second.json["usage"]?["input_tokens"] == chat["usage"]?["prompt_tokens"])
        #expect(second.json["previous_response_id"]?.string == identifier)
      }
    }
  }

  @Test func responsesAreHeldForTheirKeyUntilTheyAreDeleted() async throws {
    try await ServerSubject.run(change: { $0.keys = ["alpha", "beta"] }) { subject in
      let (alpha, beta) = (subject.client(key: "alpha"), subject.client(key: "beta"))
      let made = try await ask(subject, "a secret", by: alpha).json
      let identifier = try #require(made["id"]?.string)
      let path = "/v1/responses/\(identifier)"
      #expect(try await alpha.get(path).json == made)
      #expect(try await beta.get(path).status == 404)
      #expect(try await beta.send("DELETE", path, nil).status == 404)
      let stranger = try await ask(subject, "go on", ["previous_response_id": .string(identifier)], by: beta)
      #expect(stranger.status == 400 && stranger.json["error"]?["code"] == "previous_response_not_found")
      #expect(try await alpha.send("DELETE", path, nil).json["deleted"] == true)
      #expect(try await alpha.get(path).status == 404)
      #expect(try await alpha.send("POST", path, "{}").status == 405)
      let unstored = try await ask(subject, "a secret", ["store": false], by: alpha).json
      #expect(try await alpha.get("/v1/responses/\(unstored["id"]?.string ?? "")").status == 404)
    }
  }

  @Test func theOldestAreForgotten() async {
    let store = ResponseStore(ownerCount: 2, ownerBytes: 1000, byteLimit: 1500)
    for index in 0..<3 { await store.keep("x", "r\(index)", messages: [], owner: 0) }
    #expect(store.object("r0", owner: 0) == nil && store.object("r1", owner: 0) == "x")
    await store.keep(.string(String(repeating: "x", count: 996)), "big", messages: [], owner: 0)
    #expect(store.object("r2", owner: 0) == nil && store.object("big", owner: 0) != nil)
    await store.keep(.string(String(repeating: "y", count: 996)), "big", messages: [], owner: 1)
    #expect(store.object("big", owner: 0) == nil && store.object("big", owner: 1) != nil)
    #expect(store.remove("big", owner: 1) && !store.remove("big", owner: 1))
  }

  @Test func itemsBecomeMessages() throws {
    let call: JSONValue = ["type": "function_call", "call_id": "c1", "name": "now", "arguments": "{}", "id": "fc_1"]
    let items: JSONValue = [
      ["role": "user", "content": "When?"],
      ["type": "reasoning", "id": "rs_1", "summary": [], "content": [["type": "reasoning_text", "text": "hm"]]],
      ["type": "message", "role": "assistant", "content": [["type": "output_text", "text": "Wait."]]], call,
      ["type": "function_call_output", "call_id": "c1", "output": "noon"],
      ["type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "x"],
      ["type": "message", "role": "assistant", "content": "At noon."],
    ]
    let function: JSONValue = ["id": "c1", "type": "function", "function": ["name": "now", "arguments": "{}"]]
    #expect(
      try ResponseInput(items).messages == [
        ["role": "user", "content": "When?"],
        [
          "role": "assistant", "content": [["type": "text", "text": "Wait."]], "reasoning_content": "hm",
          "tool_calls": [function],
        ],
        ["role": "tool", "tool_call_id": "c1", "content": "noon"], ["role": "assistant", "content": "At noon."],
      ])
  }

  @Test(
    arguments: [
      ["input": nil], ["input": []], ["input": [["type": "item_reference", "id": "x"]]],
      ["input": [["role": "user", "content": [["type": "input_image", "image_url": "x"]]]]],
      ["input": [["role": "wizard", "content": "x"]]], ["input": [["type": "function_call", "name": "x"]]],
      ["input": [["type": "function_call_output", "output": "x"]]], ["previous_response_id": "resp_none"],
      ["text": ["format": ["type": "grammar"]]], ["text": ["verbosity": "low"]], ["truncation": "some"],
      ["background": true], ["max_output_tokens": 0], ["include": ["file_search_call.results"]],
      ["top_logprobs": 3], ["metadata": ["a": 1]], ["conversation": "c"], ["n": 2], ["stop": "x"],
      ["tools": [["type": "mcp"]]], ["reasoning": ["effort": "extreme"]], ["tool_choice": "sometimes"],
    ] as [JSONValue])
  func whatIsRefused(_ fields: JSONValue) async throws {
    try await ServerSubject.run { subject in
      let response = try await ask(subject, "hi", fields)
      #expect(response.status == 400, "\(response.body)")
      let parameter = try #require(response.json["error"]?["param"]?.string, "\(response.body)")
      #expect(fields.members.contains { parameter.hasPrefix($0.key) }, "\(parameter)")
    }
  }

  /// What Codex sends.
  @Test func fieldsOfAgentsAreTaken() async throws {
    try await ServerSubject.run { subject in
      let function: JSONValue = [
        "type": "function", "name": "shell", "strict": false, "parameters": ["type": "object"],
      ]
      let response = try await ask(
        subject, [["type": "message", "role": "user", "content": [["type": "input_text", "text": "hi"]]]],
        [
          "tools": [function, ["type": "web_search"], ["type": "custom", "name": "apply_patch"]], "store": false,
          "tool_choice": "auto", "parallel_tool_calls": false, "include": ["reasoning.encrypted_content"],
          "reasoning": ["effort": "high", "summary": "auto"], "prompt_cache_key": "x", "truncation": "auto",
          "text": ["verbosity": "medium"], "client_metadata": ["a": "b"],
        ])
      #expect(response.status == 200, "\(response.body)")
      #expect(response.json["tools"]?.array?.count == 3)
    }
  }

  @Test func probabilitiesStandWithTheText() async throws {
    try await ServerSubject.run { subject in
      let fields: JSONValue = ["include": ["message.output_text.logprobs"], "top_logprobs": 2]
      let json = try await ask(subject, "the sea", fields).json
      let part = try #require(json["output"]?.array?.first?["content"]?.array?.first)
      let found = try #require(part["logprobs"]?.array)
      #expect(found.count == 8 && found.allSatisfy { $0["top_logprobs"]?.array?.count == 2 })
    }
  }

  /// Thoughts, what is said, and calls are items, each opened and closed before the next.
  @Test func partsBecomeItems() {
    var output = ResponseOutput()
    let call = AnswerReader.Part.call(ToolCall("now", "{\"a\": 1}"))
    let changes =
      output.take([.thinking("a"), .thinking("b")], []) + output.take([.answer("c"), call, call], [])
      + output.finish(isCut: false)
    #expect(
      changes == [
        .opened(0), .grew(0, text: "a", []), .grew(0, text: "b", []), .closed(0), .opened(1),
        .grew(1, text: "c", []), .closed(1), .opened(2), .grew(2, text: "{\"a\": 1}", []), .closed(2), .opened(3),
        .grew(3, text: "{\"a\": 1}", []), .closed(3),
      ])
    #expect(output.items.allSatisfy { $0.status == "completed" })
    #expect(output.message["content"] == "c" && output.message["reasoning_content"] == "ab")
    #expect(output.message["tool_calls"]?.array?.count == 2)
    var empty = ResponseOutput()
    #expect(empty.finish(isCut: true) == [.opened(0), .closed(0)] && empty.items[0].status == "incomplete")
  }
}
