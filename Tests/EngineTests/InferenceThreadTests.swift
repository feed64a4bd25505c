import Foundation
import Testing

@testable import Engine

@Suite struct InferenceThreadTests {
  /// Touched on the inference thread only.
  private final class Record: @unchecked Sendable {
    var numbers: [Int] = []
    var threads: Set<ObjectIdentifier> = []
  }

  @Test func `jobs run one at a time on one thread`() async throws {
    let thread = InferenceThread(name: "test thread")
    let record = Record()
    try await withThrowingTaskGroup(of: Int.self) { group in
      for number in 0..<200 {
        group.addTask {
          try await thread.run {
            record.numbers.append(number)
            record.threads.insert(ObjectIdentifier(Thread.current))
            return number
          }
        }
      }
      let sum = try await group.reduce(0, +)
      #expect(sum == 199 * 100)
    }
    #expect(record.numbers.sorted() == Array(0..<200))
    #expect(record.threads.count == 1)
  }

  @Test func `an error reaches the caller and the thread goes on`() async throws {
    let thread = InferenceThread(name: "test thread")
    await #expect(throws: LanguageModelError.superseded) {
      try await thread.run { throw LanguageModelError.superseded }
    }
    #expect(try await thread.run { 7 } == 7)
  }

  @Test func `the thread ends with its owner`() async throws {
    final class Token: Sendable {}
    weak var held: Token?
    do {
      let thread = InferenceThread(name: "test thread")
      let token = Token()
      held = token
      let description = try await thread.run { "\(token)" }
      #expect(!description.isEmpty)
      // A second job starts after the first one was let go.
      try await thread.run {}
    }
    #expect(held == nil)
  }
}
