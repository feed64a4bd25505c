import ChatTemplates
import Engine
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// An assistant's last message goes on.
@Suite struct ContinuationTests {
  private static let begun: [JSONValue] = [user("the sea"), ["role": "assistant", "content": "It is "]]

  @Test func theAnswerIsWhatFollowsTheTextAndNotTheText() async throws {
    try await ServerSubject.run { subject in
      let prompt = try await subject.client.post("/apply-template", ["messages": .array(Self.begun)])
      #expect(prompt.json["prompt"]?.string?.hasSuffix("<|im_start|>assistant\nIt is ") == true, "\(prompt.body)")
      let chat = try await subject.chat(Self.begun)
      let rendered = try subject.loaded.template.get().render(
        TemplateConversation(Self.begun, ending: .continuation))
      #expect(chat.json["usage"]?["prompt_tokens"]?.integer == rendered.tokens(after: 0).count)
      let text = try #require(chat.json.content)
      #expect(!text.isEmpty && !text.hasPrefix("It is "))
      let message = try await subject.client.post(
        "/v1/messages",
        ["model": "tiny", "messages": .array(Self.begun), "max_tokens": 8, "temperature": 0])
      #expect(message.json["content"]?.array?.first?["text"]?.string == text, "\(message.body)")
    }
  }

  /// Agents send an empty one.
  @Test func anEmptyMessageIsAnAnswerThatHasYetToBegin() async throws {
    try await ServerSubject.run { subject in
      let plain = try await subject.chat([user("the sea")])
      for content in [.null, "", []] as [JSONValue] {
        let chat = try await subject.chat([user("the sea"), ["role": "assistant", "content": content]])
        #expect(chat.json.content == plain.json.content, "\(chat.body)")
      }
    }
  }

  @Test func whatCannotGoOnIsRefused() async throws {
    try await ServerSubject.run { subject in
      let call: JSONValue = ["id": "1", "type": "function", "function": ["name": "a", "arguments": "{}"]]
      let calling = try await subject.chat([user("a"), ["role": "assistant", "tool_calls": [call]]])
      #expect(calling.status == 400 && calling.json["error"]?["param"] == "messages[1]")
      let session = try await subject.chat(Self.begun, ["session": "s"])
      #expect(session.status == 400 && session.json["error"]?["param"] == "messages[1]")
    }
  }
}
