import Foundation
import ModelJSON
import TestSupport
import Testing

@testable import Server

/// Many clients at once, and those who go away.
@Suite struct CompanyTests {
  @Test(.timeLimit(.minutes(3)))
  func manyGetWhatEachGetsAlone() async throws {
    let plans = ["streaming-llm:4+124", "full", "window:48", "cascading:64/2"]
    let request = { @Sendable (index: Int) -> JSONValue in
      ["max_tokens": JSONValue(4 + index % 13), "cache": .string(plans[index % plans.count])]
    }
    let message = { @Sendable (index: Int) in user(String(repeating: "word \(index) ", count: 1 + index % 5)) }
    var alone: [String?] = []
    try await ServerSubject.run { subject in
      for index in 0..<64 { alone.append(try await subject.chat([message(index)], request(index)).json.content) }
    }
    try await ServerSubject.run(change: { $0.parallel = 24 }) { subject in
      let together = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
        for index in 0..<64 {
          group.addTask { (index, try await subject.chat([message(index)], request(index)).json.content) }
        }
        return try await group.reduce(into: [String?](repeating: nil, count: 64)) { $0[$1.0] = $1.1 }
      }
      #expect(together == alone)
      #expect(try await subject.metric("requests_finished_total") == 64)
      #expect(try #require(try await subject.metric("memory_held_bytes")) <= 67_108_864)
    }
  }

  /// What is kept to take tokens back, and of scores, takes several times the bytes of the slots under these caches.
  @Test(.timeLimit(.minutes(3)), arguments: ["cascading:64/4", "h2o:64[positions=clipped]", "streaming-llm:4+60"])
  func memoriesStayWithinTheirBytes(_ plan: String) async throws {
    try await ServerSubject.run(change: { $0.memoryBytes = 1 << 20 }) { subject in
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<48 {
          group.addTask {
            let answer = try await subject.chat(
              [user("word \(index)")], ["max_tokens": 30, "cache": .string(plan), "session": .string("s\(index % 30)")])
            #expect([200, 409].contains(answer.status), "\(answer.body)")
          }
        }
        group.addTask {
          while try await subject.metric("requests_finished_total") ?? 0 < 30 {
            let running = try await subject.metric("memory_running_bytes") ?? .infinity
            #expect(running <= 1_048_576)
            let held = try await subject.metric("memory_held_bytes") ?? .infinity
            #expect(held <= 1_048_576)
          }
        }
        try await group.waitForAll()
      }
    }
  }

  /// A client that goes away while its answer is written, streamed or not, or while its prompt is read.
  @Test(.timeLimit(.minutes(2)), arguments: [(true, 1), (false, 1), (false, 20_000)])
  func hangingUpEndsTheWork(_ streams: Bool, _ words: Int) async throws {
    try await ServerSubject.run { subject in
      let body: JSONValue = [
        "messages": [user(String(repeating: "word ", count: words))], "stream": JSONValue(streams),
        "max_tokens": 1_000_000_000,
      ]
      let bytes = subject.client.request("POST", "/v1/chat/completions", body.text)
      var connection: Connection? = try Connection(port: subject.server.port)
      try connection?.send(bytes)
      try await subject.waitFor("requests_running") { $0 == 1 }
      // Health answers meanwhile.
      #expect(try await subject.client.get("/health").status == 200)
      connection = nil
      try await subject.waitFor("requests_cancelled_total") { $0 == 1 }
      #expect(try await subject.metric("requests_running") == 0)
      #expect(try await subject.chat([user("hi")]).status == 200)
    }
  }

  @Test(.timeLimit(.minutes(2)))
  func aFullQueueSaysWhenToComeAgain() async throws {
    try await ServerSubject.run(change: { ($0.parallel, $0.queue) = (1, 1) }) { subject in
      let body: JSONValue = ["messages": [user("on")], "max_tokens": 1_000_000_000]
      let bytes = subject.client.request("POST", "/v1/chat/completions", body.text)
      let first = try Connection(port: subject.server.port)
      try first.send(bytes)
      try await subject.waitFor("requests_running") { $0 == 1 }
      let second = try Connection(port: subject.server.port)
      try second.send(bytes)
      try await subject.waitFor("requests_waiting") { $0 == 1 }
      let refused = try await subject.chat([user("hi")])
      #expect(refused.status == 503)
      #expect(refused.fields["retry-after"] != nil)
      #expect(refused.json["error"]?["code"]?.string == "overloaded")
      withExtendedLifetime((first, second)) {}
    }
  }

  @Test(.timeLimit(.minutes(2)))
  func aStopEndsAnswersWithAnError() async throws {
    try await ServerSubject.run(change: { $0.closingTime = .seconds(100) }) { subject in
      let body: JSONValue = ["messages": [user("on")], "max_tokens": 1_000_000_000, "stream": true]
      let bytes = subject.client.request("POST", "/v1/chat/completions", body.text)
      let connection = try Connection(port: subject.server.port)
      try connection.send(bytes)
      try await subject.waitFor("requests_running") { $0 == 1 }
      async let rest = withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: connection.readToEnd()) }
      }
      await subject.server.stop()
      let response = try HTTPClient.response(from: await rest)
      #expect(response.status == 200)
      let last = try JSONValue(parsing: try #require(response.events.last))
      #expect(last["error"]?["code"]?.string == "stopped")
    }
  }
}
