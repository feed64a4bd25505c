import KVCaches
import SessionStore
import TestSupport
import Testing

@testable import Engine

/// Conversations that stop and go on in another process.
@Suite struct StoredConversationTests {
  private let loaded: LanguageModel.Loaded
  private let file: SessionFile
  private let options = GenerationOptions(sampling: .greedy, maximumResponseTokens: 5)

  init() throws { (loaded, file) = (try loadTiny(chunk: 16), try SessionFile()) }

  private func session(_ plan: String, _ loaded: LanguageModel.Loaded? = nil) throws -> SessionState {
    let loaded = loaded ?? self.loaded
    return SessionState(
      tokenizer: loaded.tokenizer, template: loaded.template, plan: try KVCache.Plan(plan), slotType: .float16,
      instructions: "be tiny")
  }

  private func ask(_ text: String, _ state: SessionState, _ loaded: LanguageModel.Loaded? = nil) throws -> String {
    let loaded = loaded ?? self.loaded
    try state.begin(.turn(text), options, loaded.engine)
    var answer = ""
    while let text = try state.next(loaded.engine) { answer += text }
    return answer
  }

  @Test(arguments: ["full", "streaming-llm:4+20", "h2o:24", "cascading:28/3"])
  func `restarted after each of a hundred turns, a conversation reads each token of its text once`(plan: String) throws
  {
    let unbroken = try session(plan)
    var read = 0
    for turn in 0..<100 {
      let store = try file.store()
      let state = try session(plan)
      let resumption = try state.resume(from: file.checkpointer(plan, loaded, store: store), loaded.engine)
      #expect(resumption == (turn == 0 ? .miss(.neverStored) : .hit(read, from: "disk")))
      #expect(try ask("turn \(turn)", state) == ask("turn \(turn)", unbroken))
      #expect(state.lastStep == unbroken.lastStep && !state.lastStep.restarts && state.lastStep.readAgain == 0)
      let sequence = try #require(state.existing)
      // All that went through the model so far, and nothing twice.
      #expect(sequence.memory.tokenCount == unbroken.existing?.memory.tokenCount)
      read = Int(sequence.memory.tokenCount)
      try state.save()
      store.flush()
      #expect(store.statistics.failedSaves == 0)
    }
    #expect(read > 2000)
  }

  @Test func `under another model or cache, or with its memory damaged, the messages are read again`() throws {
    let other = try loadTiny(TinyModel(seed: 9), chunk: 16)
    let first = try session("full")
    _ = try first.resume(from: file.checkpointer("a", loaded), loaded.engine)
    for turn in 0..<3 { _ = try ask("turn \(turn)", first) }
    try first.save()
    try first.checkpointer?.finish()
    let messages = (try #require(first.conversation)).messages + [try #require(first.answer)]

    for (name, loaded, plan) in [
      ("weights", other, "full"), ("cache", loaded, "window:64"), ("damage", loaded, "full"),
    ] {
      if name == "damage" { try file.spoilPages() }
      let store = try file.store()
      let state = try session(plan, loaded)
      let resumption = try state.resume(from: file.checkpointer("a", loaded, store: store), loaded.engine)
      #expect(resumption.tokens == 0 && resumption.miss?.code == (name == "damage" ? "corrupt" : "other-model"))
      #expect(store.statistics.misses.values.reduce(0, +) == 1)
      let answer = try ask("go on", state, loaded)
      #expect(state.conversation?.messages.dropLast() == messages[...], "\(name)")
      // As one who is told the whole conversation at once.
      let whole = try session(plan, loaded)
      try whole.replace(
        loaded.engine.makeSequence(KVCache.Plan(plan), slotType: .float16),
        SessionRecord(
          conversation: Conversation.Record(messages: messages, time: nil, read: ReadText()), answer: nil,
          answerStart: 0, sequence: .empty))
      #expect(try ask("go on", whole, loaded) == answer, "\(name)")
    }
  }

  @Test func `models are told apart by weights, adapters and tokenizers`() throws {
    let fingerprint = { (loaded: LanguageModel.Loaded) in loaded.fingerprint.fingerprint(cache: "c") }
    let first = fingerprint(loaded)
    #expect(fingerprint(try loadTiny(chunk: 4)) == first)
    let others = [
      try loadTiny(TinyModel(seed: 2)), try loadTiny(TinyModel(encoding: .float16)),
      try loadTiny(TinyModel(trainedLength: 64)), try loadTiny(TinyModel(endBias: 0)),
      try loadTiny(adapter: TinyAdapter()), try loadTiny(adapter: TinyAdapter(), scale: 0.5),
    ].map(fingerprint)
    #expect(Set(others.map(\.model) + [first.model]).count == others.count + 1)
    #expect(others.allSatisfy { $0.tokenizer == first.tokenizer && first.mismatch(with: $0) != nil })
  }
}
