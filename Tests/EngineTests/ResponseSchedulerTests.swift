import KVCaches
import Synchronization
import TestSupport
import Testing
import Tokenizers

@testable import Engine

/// Sessions that ask for tokens at the same time.
@Suite struct ResponseSchedulerTests {
  /// A scheduler on a thread of its own, and sessions of it.
  private final class Subject: Sendable {
    let thread = InferenceThread(name: "test thread")
    let states: [SessionState]
    let tokenizer: Tokenizer
    private nonisolated(unsafe) let responses: ResponseScheduler
    private let asks = Mutex<[ResponseScheduler.Ask]>([])

    init(sessions: Int) throws {
      let loaded = try loadTiny(chunk: 1024)
      responses = ResponseScheduler(engine: loaded.engine, thread: thread)
      tokenizer = loaded.tokenizer
      states = (0..<sessions).map { _ in
        SessionState(loaded, instructions: "")
      }
    }

    /// Has sessions ask at once, and gives what they get; a request is the first one's of a session.
    func ask(
      _ members: [Int], request: String? = nil, cancelled: [Int: CancellationFlag] = [:]
    ) async -> [Result<String?, any Error>] {
      await withTaskGroup(of: (Int, Result<String?, any Error>).self) { group in
        for (place, member) in members.enumerated() {
          group.addTask { [self] in
            do {
              let text = try await withCheckedThrowingContinuation { continuation in
                let ask = ResponseScheduler.Ask(
                  state: states[member], cancelled: cancelled[member] ?? CancellationFlag(), continuation: continuation)
                take(ask, of: members.count, request: request)
              }
              return (place, .success(text))
            } catch {
              return (place, .failure(error))
            }
          }
        }
        return await group.reduce(into: members.map { _ in .success(nil) }) { $0[$1.0] = $1.1 }
      }
    }

    /// The last one of those who ask together hands all of them over.
    private func take(_ ask: ResponseScheduler.Ask, of count: Int, request: String?) {
      let all = asks.withLock { asks -> [ResponseScheduler.Ask]? in
        asks.append(ask)
        guard asks.count == count else { return nil }
        defer { asks = [] }
        return asks
      }
      guard let all else { return }
      thread.enqueue { [self] in
        for ask in all {
          let number = states.firstIndex { $0 === ask.state } ?? 0
          responses.take(ask) { responses in
            guard let request else { return }
            responses.endResponse(of: ask.state)
            let options = GenerationOptions(sampling: .greedy, maximumResponseTokens: 5)
            try ask.state.begin(.text("\(request) \(number)"), options, responses.engine)
          }
        }
      }
    }

    func steps() async throws -> Int { try await thread.run { [self] in responses.step } }
  }

  private func texts(_ results: [Result<String?, any Error>]) throws -> [String?] { try results.map { try $0.get() } }

  @Test(arguments: [1, 2, 9, 70])
  func `those who ask at once are answered by one step, as if alone`(sessions: Int) async throws {
    let (together, alone) = (try Subject(sessions: sessions), try Subject(sessions: sessions))
    for token in 0..<6 {
      let request = token == 0 ? "a river" : nil
      let texts = try texts(await together.ask(Array(0..<sessions), request: request))
      for session in [0, 1, 8, 64, 69] where session < sessions {
        #expect(try self.texts(await alone.ask([session], request: request)) == [texts[session]])
      }
      // The sixth finds the end of five tokens.
      #expect(try await together.steps() == min(token + 1, 5))
      #expect(texts.allSatisfy { ($0 == nil) == (token == 5) })
    }
  }

  @Test func `who is cancelled leaves the others alone`() async throws {
    let (subject, whole) = (try Subject(sessions: 3), try Subject(sessions: 3))
    let flag = CancellationFlag()
    flag.set()
    let first = try texts(await subject.ask([0, 1, 2], request: "a river", cancelled: [1: flag]))
    let expected = try texts(await whole.ask([0, 1, 2], request: "a river"))
    #expect(first[0] == expected[0] && first[1] == "" && first[2] == expected[2])
    #expect(try texts(await subject.ask([1])) == [nil])
    #expect(try texts(await subject.ask([0, 2])) == texts(await whole.ask([0, 2])))
    // What it was asked is still heard.
    _ = try texts(await subject.ask([1], request: "and"))
    let count = try await subject.thread.run { subject.states[1].existing?.count }
    let heard = ["a river 1", "and 1"].map { subject.tokenizer.encode($0).count }
    #expect(count == heard[0] + heard[1] + 1)
  }

  @Test func `a newer request ends what waits`() async throws {
    let subject = try Subject(sessions: 1)
    var (texts, errors) = (0, 0)
    for result in await subject.ask([0, 0], request: "a river") {
      switch result {
      case .success(let text): texts += text == nil ? 0 : 1
      case .failure(let error): errors += error as? LanguageModelError == .superseded ? 1 : 0
      }
    }
    #expect(texts == 1 && errors == 1)
  }

  @Test func `who asks twice gets two tokens`() async throws {
    let (subject, whole) = (try Subject(sessions: 1), try Subject(sessions: 1))
    for subject in [subject, whole] { _ = try texts(await subject.ask([0], request: "a river")) }
    for end in [false, true] {
      let both = try texts(await subject.ask([0, 0]))
      let expected = try texts(await whole.ask([0])) + texts(await whole.ask([0]))
      #expect(both.map { $0 ?? "end" }.sorted() == expected.map { $0 ?? "end" }.sorted())
      #expect(!expected.contains(nil) || end)
    }
    // The fifth token was the last.
    #expect(try texts(await subject.ask([0, 0])) == [nil, nil])
  }
}
