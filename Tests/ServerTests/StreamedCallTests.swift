import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Calls that are streamed while they are written, beside the same ones told whole.
@Suite struct StreamedCallTests {
  private static let parameters: JSONValue = [
    "type": "object", "properties": ["unit": ["enum": ["C", "F"]], "rain": ["type": "boolean"]],
    "required": ["unit", "rain"], "additionalProperties": false,
  ]

  /// A call as an API's events tell it.
  private struct Told {
    var name: String?
    var pieces: [String] = []
    var finish: String?
    var arguments: String { pieces.joined() }
  }

  private static func chat(_ subject: ServerSubject, limit: Int, session: JSONValue = .null) async throws -> Told {
    let response = try await subject.chat(
      [user("How is it?")],
      [
        "tools": [["type": "function", "function": ["name": "weather", "parameters": parameters]]],
        "tool_choice": "required", "parallel_tool_calls": false, "stream": true, "max_tokens": JSONValue(limit),
        "session": session,
      ])
    let choices = try response.events.dropLast().compactMap { try JSONValue(parsing: $0)["choices"]?.array?.first }
    let functions = choices.compactMap { $0["delta"]?["tool_calls"]?.array?.first?["function"] }
    return Told(
      name: functions.first?["name"]?.string, pieces: functions.dropFirst().compactMap { $0["arguments"]?.string },
      finish: choices.last?["finish_reason"]?.string)
  }

  private static func message(_ subject: ServerSubject, limit: Int) async throws -> Told {
    let response = try await subject.client.post(
      "/v1/messages",
      [
        "model": "tiny", "messages": [user("How is it?")], "temperature": 0, "max_tokens": JSONValue(limit),
        "tools": [["name": "weather", "input_schema": parameters]], "stream": true,
        "tool_choice": ["type": "any", "disable_parallel_tool_use": true],
      ])
    let events = try response.events.map { try JSONValue(parsing: $0) }
    return Told(
      name: events.compactMap { $0["content_block"]?["name"]?.string }.first,
      pieces: events.compactMap { $0["delta"]?["partial_json"]?.string },
      finish: events.compactMap { $0["delta"]?["stop_reason"]?.string }.last)
  }

  private static func response(_ subject: ServerSubject, limit: Int) async throws -> Told {
    let response = try await subject.client.post(
      "/v1/responses",
      [
        "model": "tiny", "input": "How is it?", "temperature": 0, "max_output_tokens": JSONValue(limit),
        "tools": [["type": "function", "name": "weather", "parameters": parameters]], "stream": true,
        "tool_choice": "required", "parallel_tool_calls": false,
      ])
    let events = try response.events.map { try JSONValue(parsing: $0) }
    let item = events.last?["response"]?["output"]?.array?.last
    let told = Told(
      name: events.compactMap { $0["item"]?["name"]?.string }.first,
      pieces: events.filter { $0["type"] == "response.function_call_arguments.delta" }
        .compactMap { $0["delta"]?.string },
      finish: item?["type"] == "function_call" ? item?["status"]?.string : nil)
    if let arguments = item?["arguments"]?.string { #expect(arguments == told.arguments) }
    return told
  }

  private static func run(_ template: String?, _ body: (ServerSubject) async throws -> Void) async throws {
    let tiny = TinyModel(trainedLength: 512)
    guard let template else { return try await ServerSubject.run(tiny, body) }
    try await ServerSubject.run(tiny, template: template, body)
  }

  private static func wholeArguments(_ subject: ServerSubject) async throws -> String {
    let whole = try await subject.chat(
      [user("How is it?")],
      [
        "tools": [["type": "function", "function": ["name": "weather", "parameters": parameters]]],
        "tool_choice": "required", "parallel_tool_calls": false, "max_tokens": 300,
      ])
    let call = whole.json["choices"]?.array?.first?["message"]?["tool_calls"]?.array?.first
    return try #require(call?["function"]?["arguments"]?.string, "\(whole.body)")
  }

  /// Templates of `ForcedCallTests` that write arguments as JSON.
  @Test(arguments: 0..<4)
  func argumentsComeAsTheyAreWritten(_ index: Int) async throws {
    try await Self.run(ForcedCallTests.templates[index]) { subject in
      let whole = try await Self.wholeArguments(subject)
      for (told, finish) in [
        (try await Self.chat(subject, limit: 300), "tool_calls"),
        (try await Self.message(subject, limit: 300), "tool_use"),
        (try await Self.response(subject, limit: 300), "completed"),
      ] {
        #expect(told.name == "weather" && told.arguments == whole && told.finish == finish, "\(told)")
        // The tiny model's tokens are a character or two.
        #expect(told.pieces.count >= 8, "\(told.pieces)")
      }
    }
  }

  @Test func aCallThatIsCutIsTheBeginningOfOne() async throws {
    try await Self.run(nil) { subject in
      let whole = try await Self.wholeArguments(subject)
      var cut = 0
      for limit in stride(from: 20, through: 90, by: 3) {
        for (told, finishes) in [
          (try await Self.chat(subject, limit: limit), ["length", "tool_calls"]),
          (try await Self.message(subject, limit: limit), ["max_tokens", "tool_use"]),
          (try await Self.response(subject, limit: limit), ["incomplete", "completed"]),
        ] where told.name != nil {
          #expect(whole.hasPrefix(told.arguments), "\(told)")
          if told.arguments == whole { continue }
          cut += 1
          #expect(told.finish == finishes[0] && (try? JSONValue(parsing: told.arguments)) == nil, "\(told)")
        }
      }
      #expect(cut >= 3)
    }
  }

  /// Else no later turn of the session could be written down.
  @Test func aSessionDoesNotKeepACallThatBrokeOff() async throws {
    try await Self.run(nil) { subject in
      let whole = try await Self.wholeArguments(subject)
      var broken = 0
      for limit in stride(from: 20, through: 90, by: 3) {
        let told = try await Self.chat(subject, limit: limit, session: .string("s\(limit)"))
        guard told.name != nil, told.arguments != whole else { continue }
        broken += 1
        let next = try await subject.chat([user("And now?")], ["session": .string("s\(limit)")])
        #expect(next.status == 200, "\(next.body)")
      }
      #expect(broken > 0)
    }
  }
}
