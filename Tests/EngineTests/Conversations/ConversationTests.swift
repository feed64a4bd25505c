import ChatTemplates
import Kernels
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// Conversations turn by turn beside what the template writes of them as a whole.
@Suite("Conversations") struct ConversationTests {
  /// Templates that differ in what they write anew of older turns.
  private static let templates: [String: String] = [
    "chatml": """
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
    """,
    // Thoughts are written in the newest answer only, as Qwen 3 does.
    "forgets thoughts": """
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}
    {%- if m.thinking and loop.last %}{{ '<think>' + m.thinking + '</think>' }}{% endif -%}
    {{ m.content + '<|im_end|>\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
    """,
    // The prompt opens a thought that later turns do not have, as DeepSeek R1's does.
    "opens thoughts": """
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif -%}
    """,
    "trims": """
    {%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
    """,
    "plain text": """
    {%- for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor -%}
    {%- if add_generation_prompt %}{{ 'assistant: ' }}{% endif -%}
    """,
    // Nothing of what was read stays.
    "counts": """
    {{- messages | length }} messages{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}
    {%- endfor -%}{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif -%}
    """,
  ]

  private let tokenizer: Tokenizer

  init() throws { tokenizer = try loadTiny().tokenizer }

  private func conversation(_ name: String) throws -> Conversation {
    let template = try ChatTemplate(try #require(Self.templates[name]), name: name)
    return Conversation(ConversationTemplate(template, tokenizer: tokenizer), instructions: "be tiny")
  }

  /// What a sequence would hold.
  private struct Reader {
    var tokens: [Int32] = []

    mutating func perform(_ step: Conversation.Step) {
      if step.restarts { tokens = [] }
      tokens.removeLast(step.takesBack)
      tokens += step.tokens
    }
  }

  /// An answer in random pieces, which are mostly not those into which its text would be cut.
  private func answer(_ random: inout SplitMix64, thinks: Bool) -> [Int32] {
    let words = ["yes", " the ", "<|im_end|>", "\n", "über", "  ", "then", "<think>"]
    let text = (0..<Int(random.next() % 6)).map { _ in words[Int(random.next() % 8)] }.joined()
    let thought = thinks ? "<think>" + words[Int(random.next() % 2)] + "</think>" : ""
    return (thought + text).utf8.flatMap { tokenizer.encode([$0]) }
  }

  @Test("what was read is what the template writes, turn after turn", arguments: Self.templates.keys.sorted())
  func readsWhatIsWritten(name: String) throws {
    for seed in 0..<20 {
      var random = SplitMix64(seed: UInt64(seed))
      var conversation = try conversation(name)
      var reader = Reader()
      for turn in 0..<8 {
        let step = try conversation.ask(
          ChatMessage(.user, turn % 3 == 2 ? " <|im_end|> the \n" : "turn \(turn)"), undoable: .max)
        reader.perform(step)
        let whole = try conversation.template.render(conversation.messages, opensAnswer: true)
        #expect(tokenizer.symbols(reader.tokens) == whole.symbols, "\(name), seed \(seed), turn \(turn)")
        #expect(step.opensThought == (name == "opens thoughts"))
        let answer = answer(&random, thinks: turn % 2 == 0)
        reader.tokens += answer
        var parts = AnswerReader(AnswerFormat(conversation.template.template), opensThought: step.opensThought)
        let text = parts.append(tokenizer.decode(answer)) + parts.finish()
        let thought = text.compactMap { if case .thinking(let text) = $0 { text } else { nil } }.joined()
        conversation.note(
          ChatMessage(.assistant, text.answerText, thinking: thought.isEmpty ? nil : thought), tokens: answer)
      }
    }
  }

  @Test("in turn 20 only what is new is read, and of a template that forgets thoughts the last answer without them")
  func readsOnlyNewTokens() throws {
    let answered = tokenizer.encode("assistant\nyes").count + "*\n".utf8.count
    for (name, again) in [("chatml", 0), ("forgets thoughts", answered), ("plain text", 0)] {
      var conversation = try conversation(name)
      var last = Conversation.Step()
      for turn in 0..<20 {
        last = try conversation.ask(ChatMessage(.user, "turn \(turn)"), undoable: .max)
        let thought = name == "forgets thoughts" ? "<think>hm hm hm</think>" : ""
        conversation.note(
          ChatMessage(.assistant, "yes", thinking: thought.isEmpty ? nil : "hm hm hm"),
          tokens: tokenizer.encode(thought + "yes"))
      }
      #expect(!last.restarts && last.readAgain == again, "\(name)")
      let frame = name == "plain text" ? "\nuser: turn 19\nassistant: " : "**\nuser\nturn 19**\nassistant\n"
      #expect(last.tokens.count - last.readAgain <= frame.utf8.count, "\(name): \(last.tokens.count)")
    }
  }

  @Test("thoughts that cannot be taken back stay, and the conversation goes on without being read again")
  func keepsThoughts() throws {
    var conversation = try conversation("forgets thoughts")
    var reader = Reader()
    for turn in 0..<4 {
      let step = try conversation.ask(ChatMessage(.user, "turn \(turn)"), undoable: 3)
      #expect(step.keepsThoughts == (turn > 0) && !step.restarts && step.takesBack == 0 && step.readAgain == 0)
      reader.perform(step)
      let answer = tokenizer.encode("<think>hm</think>yes")
      reader.tokens += answer
      conversation.note(ChatMessage(.assistant, "yes", thinking: "hm"), tokens: answer)
    }
    let text = tokenizer.decode(reader.tokens, skipsSpecial: false)
    #expect(
      text == "<|im_start|>system\nbe tiny<|im_end|>\n"
        + (0..<4).map {
          "<|im_start|>user\nturn \($0)<|im_end|>\n<|im_start|>assistant\n<think>hm</think>yes"
        }.joined(separator: "<|im_end|>\n"))
  }

  @Test("a template that writes the start anew has everything read again, and says so")
  func restarts() throws {
    var conversation = try conversation("counts")
    #expect(try !conversation.ask(ChatMessage(.user, "one"), undoable: .max).restarts)
    conversation.note(ChatMessage(.assistant, "yes"), tokens: tokenizer.encode("yes"))
    let step = try conversation.ask(ChatMessage(.user, "two"), undoable: .max)
    #expect(step.restarts && step.readAgain == step.tokens.count)
  }

  @Test("a message that the template refuses leaves the conversation as it was")
  func refusals() throws {
    let source = "{% if messages[-1].content == 'bad' %}{{ raise_exception('no') }}{% endif %}"
    var conversation = Conversation(
      ConversationTemplate(try ChatTemplate(source + (Self.templates["chatml"] ?? "")), tokenizer: tokenizer))
    _ = try conversation.ask(ChatMessage(.user, "good"), undoable: 0)
    conversation.note(ChatMessage(.assistant, "yes"), tokens: tokenizer.encode("yes"))
    #expect(throws: TemplateError.self) { try conversation.ask(ChatMessage(.user, "bad"), undoable: 0) }
    #expect(conversation.messages.count == 2)
    #expect(try !conversation.ask(ChatMessage(.user, "good"), undoable: 0).restarts)
  }

  @Test("a user's message around which the template writes can be of any length")
  func frames() throws {
    for name in ["chatml", "forgets thoughts", "plain text"] {
      let template = try conversation(name).template
      let frame = try template.frame()
      let whole = try template.render([ChatMessage(.user, "hello")], opensAnswer: true).tokens(after: 0)
      #expect(
        tokenizer.symbols(frame.before + tokenizer.encode("hello") + frame.after) == tokenizer.symbols(whole), "\(name)"
      )
    }
    let silent = ConversationTemplate(try ChatTemplate("nothing"), tokenizer: tokenizer)
    #expect(throws: LanguageModelError.self) { try silent.frame() }
  }
}
