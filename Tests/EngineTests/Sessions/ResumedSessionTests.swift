import Engine
import Foundation
import KVCaches
import SessionStore
import TestSupport
import Testing

/// What programs see: sessions that are resumed from a store and save themselves.
@Suite struct ResumedSessionTests {
  private let file: SessionFile
  private let options = GenerationOptions(sampling: .greedy, maximumResponseTokens: 12)

  init() throws { file = try SessionFile() }

  private func model() async throws -> LanguageModel {
    let folder = FileManager.default.temporaryDirectory.appending(path: "sluice-test-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try await LanguageModel(
      TinyModel().write(in: folder), options: LanguageModel.Options(threads: 1, chunk: 16, exactArithmetic: true))
  }

  private let plan = KVCache.Plan {
    Sinks(4); Window(28)
  }

  @Test func `a session goes on under its name as if the program had not ended`() async throws {
    let model = try await model()
    let unbroken = LanguageModelSession(model: model, cache: plan)
    #expect(unbroken.resumption == nil)
    for turn in 0..<6 {
      let store = try file.store()
      let session = try await LanguageModelSession(model: model, resuming: "diary", in: store, cache: plan)
      #expect(session.resumption?.tier == (turn == 0 ? nil : "disk"))
      #expect(session.resumption?.miss == (turn == 0 ? .neverStored : nil))
      let response = try await session.respond(to: "turn \(turn)", options: options)
      #expect(try await response == unbroken.respond(to: "turn \(turn)", options: options))
      // It saves itself; to wait is for who wants to be sure.
      if turn.isMultiple(of: 2) { try await session.save() } else { store.flush() }
      #expect(store.statistics.saves >= 1 && store.statistics.failedSaves == 0)
    }
    let stored = try #require(try file.store().session(named: "diary"))
    #expect(stored.plan == "\(plan)" && stored.slotType == "f16" && stored.tokens > 100)
  }

  @Test func `a long stream is saved while it is written, and one that is left goes on from there`() async throws {
    let model = try await model()
    let store = try file.store()
    let session = try await LanguageModelSession(model: model, resuming: "endless", in: store, cache: plan)
    var pieces = 0
    for try await _ in session.streamContinuation(
      of: "on and on", options: GenerationOptions(sampling: SamplingOptions(seed: 1)))
    {
      pieces += 1
      if pieces == 1500 { break }
    }
    store.flush()
    let saved = try #require(try file.store().session(named: "endless"))
    #expect(saved.tokens >= 512 && store.statistics.saves >= 2)
    let other = try await LanguageModelSession(
      model: model, resuming: "endless", in: file.store(), cache: plan)
    #expect(other.resumption?.tokens == saved.tokens)
    #expect(try await !other.respond(to: "and then?", options: options).content.isEmpty)
  }

  @Test func `a session that began without a store can be kept, and a copy goes its own way`() async throws {
    let model = try await model()
    let session = LanguageModelSession(model: model, cache: plan)
    await #expect(throws: LanguageModelError.self) { try await session.save() }
    _ = try await session.respond(to: "one", options: options)
    let store = try file.store()
    try await session.save(as: "a", in: store)
    #expect(try store.fork("a", as: "b"))
    let second = try await session.respond(to: "two", options: options)
    try await session.save()
    let copy = try await LanguageModelSession(model: model, resuming: "b", in: file.store(), cache: plan)
    #expect(try await copy.respond(to: "two", options: options) == second)
    let other = try await LanguageModelSession(model: model, resuming: "a", in: file.store(), cache: plan)
    #expect(try await other.respond(to: "three", options: options) == session.respond(to: "three", options: options))
  }

  @Test func `a store that fails ends no response, and says so to who waits`() async throws {
    let model = try await model()
    var limits = SessionStore.Options()
    (limits.diskBytes, limits.memoryBytes, limits.survivesPowerLoss) = (1000, 1 << 20, false)
    let store = try SessionStore(path: file.path, options: limits)
    let session = try await LanguageModelSession(model: model, resuming: "a", in: store, cache: plan)
    let plain = LanguageModelSession(model: model, cache: plan)
    for turn in 0..<3 {
      #expect(
        try await session.respond(to: "turn \(turn)", options: options)
          == plain.respond(to: "turn \(turn)", options: options))
    }
    await #expect(throws: LanguageModelError.self) { try await session.save() }
    #expect(store.statistics.failedSaves >= 3 && store.statistics.saves == 0)
    #expect(try store.sessions().isEmpty)
  }
}
