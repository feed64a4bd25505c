import Engine
import Foundation
import ModelJSON
import Synchronization
import TestSupport
import Testing

@testable import Server
@testable import SessionStore

/// Sessions whose memory comes from the store while the model computes, or does not come.
@Suite struct LoadingSessionTests {
  /// Lets some sections of slots through, all others once it is opened.
  private final class Gate: @unchecked Sendable {
    private let condition = NSCondition()
    private var left: Int

    init(_ left: Int) { self.left = left }

    func pass(_ bytes: Int) {
      // Messages and counters are shorter.
      guard bytes > 2000 else { return }
      condition.withLock {
        while left == 0 { condition.wait() }
        left -= 1
      }
    }

    func open() {
      condition.withLock { left = .max }
      condition.broadcast()
    }
  }

  private func run(
    _ tier: any StorageTier, seconds: Double? = nil, _ body: (ServerSubject, SessionStore) async throws -> Void
  ) async throws {
    var options = SessionStore.Options()
    (options.memoryBytes, options.loadSeconds) = (0, seconds)
    let store = SessionStore(disk: tier, options: options)
    try await ServerSubject.run(
      TinyModel(trainedLength: 1024), change: { $0.sessions = store }, { try await body($0, store) })
  }

  private static let fields: JSONValue = ["cache": "full", "session": "s"]

  @Test(arguments: [0, 1])
  func `a memory that does not come in time is read again, whatever of it has come`(sent: Int) async throws {
    let tier = MemoryTier(byteLimit: 1 << 30)
    var expected: String?
    try await run(tier) { subject, _ in
      let first = try #require(try await subject.chat([user("turn 0")], Self.fields).json.content)
      let messages: [JSONValue] = [
        user("turn 0"), ["role": "assistant", "content": .string(first)], user("turn 1"),
      ]
      expected = try await subject.chat(messages, ["cache": "full"], by: subject.client).json.content
    }
    let gate = Gate(sent)
    try await run(DelayedTier(tier) { gate.pass($0) }, seconds: sent == 0 ? 0 : 0.3) { subject, store in
      // Computing is said to take so long that the first layer is enough to begin.
      _ = await subject.server.scheduler.look { room in
        for power in 0..<8 { room.estimates.note(rows: 1 << power, seconds: 1e9) }
      }
      let late = try await subject.chat([user("turn 1")], Self.fields)
      #expect(late.status == 200 && late.json.content == expected)
      #expect(late.fields["x-sluice-cache"] == "miss; reason=timed-out" && late.json.cachedTokens == 0)
      #expect(store.statistics.misses == ["timed-out": 1])
      // Others are served meanwhile.
      #expect(try await subject.chat([user("other")]).status == 200)
      gate.open()
      let next = try await subject.chat([user("turn 2")], Self.fields)
      #expect(next.status == 200 && next.fields["x-sluice-cache"]?.contains("active") == true)
    }
    try await run(tier) { subject, store in
      let next = try await subject.chat([user("turn 3")], Self.fields)
      #expect(try next.fields["x-sluice-cache"]?.hasPrefix("hit; tier=memory") == true && #require(next.json.cachedTokens) > 40)
      #expect(store.statistics.misses.isEmpty)
    }
  }

  @Test func `a client that goes away while its memory is loaded holds up nobody`() async throws {
    let tier = MemoryTier(byteLimit: 1 << 30)
    try await run(tier) { subject, _ in _ = try await subject.chat([user("one")], Self.fields) }
    let gate = Gate(0)
    try await run(DelayedTier(tier) { gate.pass($0) }) { subject, store in
      let waiting = Task { try await subject.chat([user("two")], Self.fields) }
      try await subject.waitFor("requests_running") { $0 == 1 }
      waiting.cancel()
      #expect(try await subject.chat([user("other")]).status == 200)
      gate.open()
      _ = try? await waiting.value
      #expect(store.statistics.misses["corrupt"] == nil)
    }
  }
}
