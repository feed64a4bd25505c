import KVCaches
import TestSupport
import Testing

@testable import Engine

@Suite("Saved conversations") struct SavedConversationTests {
  private let loaded: LanguageModel.Loaded
  private let options = GenerationOptions(sampling: .greedy, maximumResponseTokens: 5)

  init() throws { loaded = try loadTiny(chunk: 16) }

  private func ask(_ text: String, _ state: SessionState) throws -> String {
    try state.begin(.turn(text), options, loaded.engine)
    var answer = ""
    while let text = try state.next(loaded.engine) { answer += text }
    return answer
  }

  private func session(_ plan: String) throws -> SessionState {
    SessionState(
      tokenizer: loaded.tokenizer, template: loaded.template, plan: try KVCache.Plan(plan), slotType: .float16,
      instructions: "be tiny", undoDepth: 50)
  }

  @Test("go on as they would have", arguments: ["full", "streaming-llm:4+20", "h2o:24"])
  func goOn(plan: String) throws {
    for isCut in [false, true] {
      let first = try session(plan)
      for turn in 0..<3 { _ = try ask("turn \(turn)", first) }
      if isCut {
        // The message was taken in and not read yet.
        try first.begin(.turn("one more"), options, loaded.engine)
        first.cancel()
      }
      let file = try first.saved(by: loaded.engine, model: "tiny")
      let second = try session(plan)
      _ = try ask("something else", second)
      try second.load(file, name: "f", model: "tiny", into: loaded.engine)
      for turn in 3..<5 { #expect(try ask("turn \(turn)", first) == ask("turn \(turn)", second), "\(plan)") }
      #expect(first.lastStep == second.lastStep && !first.lastStep.restarts)
      #expect(first.existing?.memory.snapshot() == second.existing?.memory.snapshot(), "\(plan)")
      #expect(try second.saved(by: loaded.engine, model: "tiny") == first.saved(by: loaded.engine, model: "tiny"))
    }
  }

  @Test("of another model or cache are refused by name, and what is not whole by a line")
  func refusals() throws {
    let state = try session("full")
    #expect(throws: LanguageModelError.self) { try state.saved(by: loaded.engine, model: "tiny") }
    _ = try ask("one", state)
    let file = try state.saved(by: loaded.engine, model: "tiny")
    #expect(throws: LanguageModelError.malformed("f", "a chat with the model 'tiny', this is 'other'")) {
      try state.load(file, name: "f", model: "other", into: loaded.engine)
    }
    #expect(
      throws: LanguageModelError.malformed("f", "a chat under the cache 'tokens f16', this one is 'window:9 f16'")
    ) { try session("window:9").load(file, name: "f", model: "tiny", into: loaded.engine) }
    let before = try state.saved(by: loaded.engine, model: "tiny")
    let headerEnd = try #require(file.firstIndex(of: 0x0a)) + 1
    for length in Array(0..<headerEnd + 40) + [file.count / 2, file.count - 1] {
      #expect(throws: (any Error).self, "\(length) bytes") {
        try state.load(Array(file.prefix(length)), name: "f", model: "tiny", into: loaded.engine)
      }
    }
    for place in stride(from: 0, to: file.count, by: 7) {
      var damaged = file
      damaged[place] ^= 0x10
      #expect(throws: (any Error).self, "byte \(place)") {
        try state.load(damaged, name: "f", model: "tiny", into: loaded.engine)
      }
    }
    #expect(try state.saved(by: loaded.engine, model: "tiny") == before)
  }

  @Test("with impossible contents under a right checksum are refused")
  func forged() throws {
    let state = try session("full")
    _ = try ask("one", state)
    let sequence = try #require(state.existing)
    let record = try #require(state.conversation).record
    func forged(_ change: (inout SavedConversation) -> Void) -> [UInt8] {
      var saved = SavedConversation(
        model: "tiny", cache: "tokens f16",
        session: SessionRecord(conversation: record, answer: nil, answerStart: 3, of: sequence), memory: sequence.memory
      )
      change(&saved)
      return saved.bytes
    }
    let changes: [(inout SavedConversation) -> Void] = [
      { $0.session.sequence.newest[0] = -1 }, { $0.session.sequence.newest[0] = 1 << 20 },
      { $0.session.sequence.count += 1 }, { $0.session.sequence.count = 1 },
      { $0.session.sequence.waiting += [1] }, { $0.session.sequence.waiting = [] }, { $0.session.answerStart = -1 },
      { $0.session.answerStart = 1 << 40 }, { $0.snapshot = [] },
    ]
    try session("full").load(forged { _ in }, name: "f", model: "tiny", into: loaded.engine)
    for (index, change) in changes.enumerated() {
      #expect(throws: (any Error).self, "change \(index)") {
        try session("full").load(forged(change), name: "f", model: "tiny", into: loaded.engine)
      }
    }
  }
}
