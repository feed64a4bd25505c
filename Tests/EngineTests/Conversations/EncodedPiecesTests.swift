import ChatTemplates
import Foundation
import ModelJSON
import TestSupport
import Testing
import Weights

@testable import Engine
@testable import Tokenizers

/// Ids of conversations that grow, with older messages remembered, beside those of everything encoded anew.
@Suite struct EncodedPiecesTests {
  /// Templates by name: our own, and those of the assets.
  private static func templates() throws -> [(name: String, source: String)] {
    let own = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "ChatTemplatesTests/Templates")
    let folders = [own] + (Assets.available ? [URL(filePath: Assets.path("chat-templates"))] : [])
    return try folders.flatMap { folder in
      try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        .filter { $0.pathExtension == "jinja" }.sorted { $0.path < $1.path }
        .map { ($0.lastPathComponent, try String(contentsOf: $0, encoding: .utf8)) }
    }
  }

  /// Tokenizers of all kinds: bytes, SentencePiece with its spaces in front, and those with tokens of their own for templates.
  private static func tokenizers() throws -> [(name: String, tokenizer: Tokenizer)] {
    var all = [("tiny", try loadTiny().tokenizer)]
    guard Assets.available else { return all }
    for name in ["llama-spm", "phi-3", "deepseek-llm", "refact"] {
      let file = try WeightFile.open(Assets.path("tokenizers/ggml-vocab/ggml-vocab-\(name).gguf"))
      all.append((name, try Tokenizer.load(from: file)))
    }
    for folder in ["gpt2", "llama2"] {
      let json = try Data(contentsOf: URL(filePath: Assets.path("tokenizers/\(folder)/tokenizer.json")))
      all.append((folder, try Tokenizer(json: Array(json))))
    }
    return all
  }

  private static let weather: JSONValue = [
    "type": "function",
    "function": [
      "name": "weather", "description": "Tells the weather of a city, today or in some days", "parameters": [:],
    ],
  ]

  /// Each is a state of one conversation: it grows, is asked again, has a message edited, calls tools, and is short again.
  private static let conversations: [[JSONValue]] = {
    let text = "<|im_start|> Grüße, 東京!  </s>\n  a long   message <|im_end|> of some words that goes on and on "
    let said = { (role: String, content: String) -> JSONValue in ["role": .string(role), "content": .string(content)] }
    var messages = [said("system", "You answer briefly, in the words of the one who asks, and never twice.")]
    var states: [[JSONValue]] = []
    for turn in 0..<4 {
      messages.append(said("user", text + "\(turn)" + String(repeating: " river", count: 12 * turn)))
      states.append(messages)
      messages.append(said("assistant", "  yes, " + text + "answered \(turn)"))
    }
    states.append(messages + [said("user", "  ")])
    // The same again, an answer that is written anew, an older message that is another one.
    states.append(messages + [said("user", "  ")])
    states.append(messages.dropLast() + [said("assistant", text), said("user", text)])
    var edited = messages
    edited[1] = said("user", text + "edited")
    states.append(edited + [said("user", text)])
    states.append(
      messages + [
        said("user", text),
        [
          "role": "assistant", "content": "",
          "tool_calls": [
            [
              "id": "call_abc12", "type": "function",
              "function": ["name": "weather", "arguments": "{\"city\": \"a city with a name that is long enough\"}"],
            ]
          ],
        ],
        ["role": "tool", "tool_call_id": "call_abc12", "name": "weather", "content": .string(text)],
      ])
    states.append([said("user", text + "0")])
    return states
  }()

  @Test func `remembered ids are those of the text encoded anew, in every template and vocabulary`() throws {
    var compared = 0
    let tokenizers = try Self.tokenizers()
    for (name, source) in try Self.templates() {
      guard let chat = try? ChatTemplate(source, name: name) else { continue }
      for (vocabulary, tokenizer) in tokenizers {
        var plain = ConversationTemplate(chat, tokenizer: tokenizer)
        plain.time = TemplateTime("2026-11-29T21:10:35")
        var remembering = plain
        remembering.known = EncodedPieces(limit: 1 << 20).share(of: 1)
        for (number, messages) in Self.conversations.enumerated() {
          for tools in [[], [Self.weather]] {
            let conversation = TemplateConversation(messages, tools: tools)
            // A template may refuse a conversation.
            guard let expected = try? plain.render(conversation) else { continue }
            let rendered = try remembering.render(conversation)
            #expect(rendered.tokens(after: 0) == expected.tokens(after: 0), "\(name) \(vocabulary) \(number)")
            #expect(rendered.symbols == expected.symbols)
            compared += 1
          }
        }
      }
    }
    #expect(compared > 150)
  }

  /// What stands between two tokens, as it is remembered.
  private static func piece(_ text: String, isStart: Bool) -> EncodedPieces.Piece {
    Array(text.utf8).withUnsafeBufferPointer { EncodedPieces.Piece($0[...], isStart: isStart, content: []) }
  }

  private static let text = String(repeating: "the sea and the road ", count: 8)

  @Test func `messages are remembered between special tokens, each for its owner alone`() throws {
    let tokenizer = try loadTiny().tokenizer
    let pieces = EncodedPieces(limit: 1 << 20)
    let encode = { (owner: Int, isContent: Bool) in
      var prompt = PromptText()
      prompt.append("<|im_start|>", isContent: isContent)
      prompt.append(Self.text, isContent: true)
      prompt.append("<|im_end|>", isContent: isContent)
      return tokenizer.encode(prompt, known: pieces.share(of: owner))
    }
    let piece = Self.piece(Self.text, isStart: false)
    #expect(pieces.share(of: 1).ids(of: piece) == nil)
    let ids = encode(1, false)
    #expect(pieces.share(of: 1).ids(of: piece) == Array(ids.dropFirst().dropLast()))
    #expect(pieces.share(of: 2).ids(of: piece) == nil)
    #expect(pieces.share(of: 1).ids(of: Self.piece(Self.text, isStart: true)) == nil)
    // Ids that are wrong show that they are used, where the same text is asked for by the same owner.
    pieces.share(of: 1).note(piece, [7, 8, 9])
    #expect(encode(1, false) == [ids[0], 7, 8, 9, ids[ids.count - 1]])
    #expect(encode(2, false) == ids)
    #expect(encode(1, true).count > ids.count)
  }

  @Test func `what is kept is bounded, and what is asked for stays`() {
    let limit = 1 << 14
    let pieces = EncodedPieces(limit: limit)
    let share = pieces.share(of: 1)
    let often = Self.piece(Self.text, isStart: true)
    share.note(often, [1])
    for number in 0..<400 {
      share.note(Self.piece("\(number) " + Self.text, isStart: false), Array(repeating: Int32(2), count: 40)[...])
      #expect(share.ids(of: often) == [1])
    }
    let kept = (0..<400).filter { share.ids(of: Self.piece("\($0) " + Self.text, isStart: false)) != nil }
    #expect(!kept.isEmpty && kept.count * (Self.text.utf8.count + 160) <= limit && kept.contains(399))
    // One that would throw out all others is not kept.
    let long = Self.piece(String(repeating: "x", count: limit), isStart: false)
    share.note(long, [3])
    #expect(share.ids(of: long) == nil && share.ids(of: often) == [1])
  }
}
