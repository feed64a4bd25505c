import Engine
import KVCaches
import ModelJSON
import TestSupport
import Testing
import Tokenizers

@testable import Server

/// Clients that all ask for the same work get it at about the same time, counted in steps of the model.
@Suite struct FairnessTests {
  /// A client whose every prompt is all that was said before, and some words more.
  private final class Client {
    private let subject: Subject
    private var text = ""
    private var turn = 0
    private(set) var job: GenerationJob?
    /// The step in which each answer ended.
    private(set) var ends: [Int] = []
    /// Tokens that no turn before had.
    private(set) var newTokens = 0
    private let number: Int

    init(_ subject: Subject, number: Int) { (self.subject, self.number) = (subject, number) }

    /// Sends the next message once the answer before has ended.
    func proceed(step: Int, turns: Int) throws {
      if let job {
        guard job.result.answerTokens > 0 else { return }
        ends.append(step)
        text += subject.tokenizer.decode(job.read.tokens.suffix(job.result.answerTokens))
      }
      guard ends.count < turns else { return job = nil }
      let before = text
      text += String(repeating: "said \(number) in \(ends.count) ", count: 3)
      newTokens +=
        subject.request(text).promptTokens.count - (before.isEmpty ? 0 : subject.request(before).promptTokens.count)
      let job = GenerationJob(subject.request(text), channel: GenerationChannel {}, choice: 0)
      self.job = job
      subject.room.take([job])
    }
  }

  private struct Subject {
    static let plan = "streaming-llm:4+1020"
    let tokenizer: Tokenizer
    let room: RequestRoom
    let status = ServerStatus()
    let plan: KVCache.Plan

    init(bytes: Int) throws {
      let loaded = try withTemporaryDirectory { folder in
        try LanguageModel.Loaded(
          path: TinyModel().write(in: folder),
          options: LanguageModel.Options(threads: 1, chunk: 64, exactArithmetic: true))
      }
      tokenizer = loaded.tokenizer
      plan = try KVCache.Plan(Self.plan)
      room = RequestRoom(
        loaded, slotType: .float32, limits: RequestRoom.Limits(running: 4, bytes: bytes), status: status)
    }

    func request(_ text: String) -> GenerationRequest {
      var prompt = PromptText()
      prompt.append(text, isContent: true)
      let rendered = RenderedConversation(prompt, tokenizer: tokenizer)
      // Only tokens of one printed character, so that an answer reads back as it was written.
      let bias = (0..<Int32(tokenizer.vocabularySize)).filter { !(3..<97).contains($0) }.map { ($0, Float(-1e9)) }
      var request = GenerationRequest(
        prompt: .text(rendered), promptTokens: rendered.tokens(after: 0), plan: plan, sampling: .greedy, limit: 12)
      request.logitBias = Dictionary(uniqueKeysWithValues: bias)
      return request
    }
  }

  /// Twelve clients, four at a time, on memory for all of their conversations or for eight of them.
  @Test(arguments: [20, 8])
  func equalWorkEndsTogether(memories: Int) throws {
    let one = try {
      let subject = try Subject(bytes: 1 << 30)
      let client = Client(subject, number: 0)
      var step = 0
      while client.ends.isEmpty {
        try client.proceed(step: step, turns: 1)
        _ = subject.room.step()
        step += 1
      }
      return subject.status.counters.heldBytes
    }()
    let subject = try Subject(bytes: memories * one + one / 2)
    let clients = (0..<12).map { Client(subject, number: $0) }
    let turns = 6
    var step = 0
    while clients.contains(where: { $0.ends.count < turns }) {
      for client in clients { try client.proceed(step: step, turns: turns) }
      _ = subject.room.step()
      step += 1
      try #require(step < 20_000)
    }
    for turn in 0..<turns {
      let ends = clients.map { $0.ends[turn] }.sorted()
      #expect(ends[11] <= 2 * ends[5], "turn \(turn): \(ends)")
    }
    let counters = subject.status.counters
    let read = counters.promptTokens - counters.cachedTokens
    let new = clients.reduce(0) { $0 + $1.newTokens }
    // Read again is only what had no room beside those whose turn came first; by last use alone it would be four times as much.
    #expect(memories >= 12 ? read <= new + new / 20 : read <= 3 * new, "\(read) of \(new) were read")
    #expect(counters.heldBytes + counters.runningBytes <= memories * one + one / 2)
  }
}
