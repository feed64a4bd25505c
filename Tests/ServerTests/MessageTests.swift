import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Anthropic's `/v1/messages`.
@Suite struct MessageTests {
  private func ask(_ subject: ServerSubject, _ more: JSONValue = [:]) async throws -> HTTPClient.Response {
    var members = JSONObject()
    for (name, value) in [
      ("model", "tiny"), ("max_tokens", 12), ("temperature", 0), ("messages", [user("the sea")]),
    ] as [(String, JSONValue)] { members[name] = value }
    for (name, value) in more.object ?? JSONObject() { members[name] = value }
    return try await subject.client.post("/v1/messages", .object(members))
  }

  @Test func aMessageIsTheChatsAnswer() async throws {
    try await ServerSubject.run { subject in
      let chat = try await subject.chat(
        [["role": "system", "content": "Be brief."], user("the sea")], ["max_tokens": 12]
      ).json
      let system: JSONValue = [["type": "text", "text": "Be brief.", "cache_control": ["type": "ephemeral"]]]
      let response = try await ask(subject, ["system": system, "cache": "sinks:4,window:124"])
      #expect(response.status == 200, "\(response.body)")
      let json = response.json
      #expect(json["content"]?.array?.last?["text"]?.string == chat.content)
      #expect(json["stop_reason"] == "max_tokens")
      #expect(json["type"] == "message")
      let usage = json["usage"]
      let read = (usage?["input_tokens"]?.integer ?? 0) + (usage?["cache_read_input_tokens"]?.integer ?? 0)
      #expect(read == chat["usage"]?["prompt_tokens"]?.integer)
      let counted = try await subject.client.post(
        "/v1/messages/count_tokens", ["model": "tiny", "messages": [user("the sea")], "system": system])
      #expect(counted.json["input_tokens"]?.integer == read)
    }
  }

  @Test func eventsComeInTheirOrder() async throws {
    try await ServerSubject.run { subject in
      let whole = try await ask(subject).json["content"]?.array?.first?["text"]?.string
      let response = try await ask(subject, ["stream": true])
      let events = try response.events.map { try JSONValue(parsing: $0) }
      let names = response.body.split(separator: "\n").filter { $0.hasPrefix("event: ") }.map {
        String($0.dropFirst(7))
      }
      let types = events.compactMap { $0["type"]?.string }
      #expect(names == types)
      let shape = types.filter { $0 != "content_block_delta" }
      #expect(shape == ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"])
      #expect(events.compactMap { $0["delta"]?["text"]?.string }.joined() == whole)
      #expect(events.first?["message"]?["role"] == "assistant")
      #expect(events.dropLast().last?["delta"]?["stop_reason"] == "max_tokens")
    }
  }

  @Test func theStopSequenceIsNamed() async throws {
    try await ServerSubject.run { subject in
      let whole = try #require(try await ask(subject).json["content"]?.array?.first?["text"]?.string)
      let stop = String(whole.dropFirst(4).prefix(2))
      let json = try await ask(subject, ["stop_sequences": ["not there", .string(stop)]]).json
      #expect(json["stop_reason"] == "stop_sequence")
      #expect(json["stop_sequence"]?.string == stop)
    }
  }

  @Test func anAnswerThatFillsTheContextSaysSo() async throws {
    try await ServerSubject.run { subject in
      let json = try await ask(subject, ["cache": "full", "max_tokens": 100_000]).json
      #expect(json["stop_reason"] == "model_context_window_exceeded")
    }
  }

  @Test func badFields() async throws {
    try await ServerSubject.run { subject in
      let cases: [JSONValue] = [
        ["max_tokens": nil], ["max_tokens": 0], ["temperature": 1.5], ["tools": [["name": "x"]]], ["unknown": 1],
        ["thinking": ["type": "sometimes"]], ["system": 5], ["messages": [["role": "system", "content": "x"]]],
        ["messages": [["role": "user", "content": [["type": "image", "source": [:]]]]]], ["stop_sequences": [5]],
      ]
      for fields in cases {
        let response = try await ask(subject, fields)
        #expect(response.status == 400, "\(fields.text): \(response.body)")
        #expect(response.json["type"] == "error")
        #expect(response.json["error"]?["type"] == "invalid_request_error")
      }
      #expect(try await ask(subject, ["model": "claude"]).json["error"]?["type"] == "not_found_error")
    }
  }
}
