import KVCaches
import Kernels
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// What a session's sequence contains after requests that end in every way.
@Suite struct SessionStateTests {
  private let loaded: LanguageModel.Loaded
  private let state: SessionState
  private let format: ChatMLFrame

  init() throws {
    loaded = try loadTiny(chunk: 16)
    state = SessionState(loaded, instructions: "be tiny")
    format = ChatMLFrame(tokenizer: loaded.tokenizer)
  }

  private func begin(_ request: SessionState.Request, limit: Int? = 5) throws {
    try state.begin(
      request, GenerationOptions(sampling: .greedy, maximumResponseTokens: limit), loaded.engine)
  }

  /// Takes `steps` tokens, or all.
  private func write(_ steps: Int = .max) throws {
    var count = 0
    while count < steps, try state.next(loaded.engine) != nil { count += 1 }
  }

  private func log() throws -> [Int32] {
    let sequence = try state.sequence(loaded.engine)
    return (0..<sequence.log.count).reversed().map { sequence.log[back: $0] }
  }

  private func text() throws -> String { loaded.tokenizer.decode(try log(), skipsSpecial: false) }

  private var firstTurn: [Int32] {
    format.message("system", "be tiny") + format.message("user", "one") + format.answerHead
  }

  @Test func `an answer is closed before the next message`() throws {
    try begin(.turn("one"))
    #expect(try log() == firstTurn)
    try write()
    #expect(try log().count == firstTurn.count + 5)
    let answered = try log()
    try begin(.turn("two"))
    #expect(
      try log() == answered + format.endOfMessage + format.message("user", "two") + format.answerHead)
  }

  @Test func `an answer that a newer message cuts off is closed`() throws {
    try begin(.turn("one"), limit: nil)
    try write(2)
    try begin(.turn("two"))
    #expect(
      try log().count == firstTurn.count + 2 + "\n<|im_end|>".utf8.count - 9
        + format.message("user", "two").count + format.answerHead.count)
    #expect(try text().contains("<|im_end|>\n<|im_start|>user\ntwo<|im_end|>\n<|im_start|>assistant\n"))
  }

  @Test func `a message that was cancelled before its answer is still heard`() throws {
    try begin(.turn("one"))
    state.cancel()
    #expect(try state.next(loaded.engine) == nil)
    try begin(.turn("two"))
    let expected =
      firstTurn + format.endOfMessage + format.message("user", "two") + format.answerHead
    #expect(try log() == expected)
    try write()
    #expect(try state.sequence(loaded.engine).memory.tokenCount == Int64(expected.count + 4))
  }

  @Test func `text continues an answer, and the next message closes it`() throws {
    try begin(.turn("one"))
    try write(1)
    try begin(.text("and so"))
    try write(1)
    let before = try log()
    #expect(Array(before[firstTurn.count + 1..<before.count - 1]) == loaded.tokenizer.encode("and so"))
    try begin(.turn("two"))
    #expect(Array(try log()[before.count...].prefix(2)) == format.endOfMessage)
  }

  @Test func `instructions come with the first message even after text`() throws {
    try begin(.text("once"))
    try write(1)
    let before = try log()
    try begin(.turn("one"))
    #expect(Array(try log()[before.count...]) == firstTurn)
  }

  @Test func `there must be something to continue`() throws {
    #expect(throws: LanguageModelError.self) { try begin(.text("")) }
    try begin(.text("a"), limit: 2)
    try write()
    // The last token of a text that its limit ended still waits for what follows it.
    try begin(.text(""), limit: 2)
    try write()
    #expect(try log().count == 5)
  }

  @Test func `after the end of a text there is nothing to continue, but more to say`() throws {
    let ending = try loadTiny(TinyModel(endBias: 20))
    let state = SessionState(ending, instructions: "")
    let options = GenerationOptions(sampling: .greedy)
    try state.begin(.turn("one"), options, ending.engine)
    while try state.next(ending.engine) != nil {}
    #expect(throws: LanguageModelError.self) { try state.begin(.text(""), options, ending.engine) }
    let count = try state.sequence(ending.engine).count
    try state.begin(.turn("two"), options, ending.engine)
    #expect(
      try state.sequence(ending.engine).log[back: try state.sequence(ending.engine).count - count - 1]
        == TinyModel.endOfMessage)
    while try state.next(ending.engine) != nil {}
  }

  @Test func `impossible options change nothing`() throws {
    #expect(throws: LanguageModelError.self) { try begin(.turn("one"), limit: -1) }
    let options = GenerationOptions(sampling: SamplingOptions(topP: 0))
    #expect(throws: LanguageModelError.self) { try state.begin(.turn("one"), options, loaded.engine) }
    try begin(.turn("one"))
    #expect(try log() == firstTurn)
  }

  @Test func `requests are taken back one by one, and others can take their place`() throws {
    let other = SessionState(loaded, instructions: "be tiny", undoDepth: 400)
    func ask(_ text: String, of state: SessionState) throws -> String {
      let options = GenerationOptions(sampling: .greedy, maximumResponseTokens: 5)
      try state.begin(.turn(text), options, loaded.engine)
      var answer = ""
      while let text = try state.next(loaded.engine) { answer += text }
      return answer
    }
    #expect(throws: LanguageModelError.self) { try other.takeBackRequest() }
    let first = try ask("one", of: other)
    #expect(first == (try ask("one", of: state)))
    for wrong in ["two", "three"] { _ = try ask(wrong, of: other) }
    for _ in 0..<2 { try other.takeBackRequest() }
    #expect(try ask("four", of: other) == ask("four", of: state))
    for _ in 0..<2 { try other.takeBackRequest() }
    #expect(throws: LanguageModelError.self) { try other.takeBackRequest() }
    #expect(try ask("one", of: other) == first)
    #expect(throws: KVCacheError.self) { try state.takeBackRequest() }
  }
}

extension SessionState {
  /// A session of a tiny model that keeps everything.
  convenience init(
    _ loaded: LanguageModel.Loaded, template: ConversationTemplate? = nil, instructions: String? = nil,
    undoDepth: Int = 0
  ) {
    self.init(
      tokenizer: loaded.tokenizer, template: template.map { .success($0) } ?? loaded.template, plan: .full,
      slotType: .float32, instructions: instructions, undoDepth: undoDepth)
  }

  /// The text of the next token, with those guessed behind it, or nil at the end.
  func next(_ engine: InferenceEngine) throws -> String? {
    guard let sequence = requestToken() else { return nil }
    var text = ""
    _ = try Scheduler(engine: engine).logits(of: sequence, while: { true }) { text += try accept($0).answerText }
    return text
  }
}
