import Engine
import KVCaches
import Kernels
import TestSupport
import Testing

@Suite struct SequenceTests {
  private static let plans = ["full", "window:16", "streaming-llm:4+12", "streaming-llm:1+40", "window:1"]

  @Test(arguments: plans, [1, 2, 5, 16, 33, 512])
  func `pieces and chunks do not change the logits`(plan: String, chunk: Int) throws {
    let ids = randomIDs(150, seed: 1)
    let whole = try loadTiny().single(plan)
    let expected = stride(from: 50, through: 150, by: 25).map { end in
      whole.append(Array(ids[whole.sequence.count..<end]))
      return whole.logits()
    }
    let loaded = try loadTiny(chunk: chunk)
    for piece in [1, 3, 20, 150] {
      let stream = try loaded.single(plan)
      for (index, end) in stride(from: 50, through: 150, by: 25).enumerated() {
        while stream.sequence.count < end {
          stream.append(Array(ids[stream.sequence.count..<min(end, stream.sequence.count + piece)]))
          stream.readFullChunks()
          #expect(stream.sequence.waitingTokens > 0 && stream.sequence.waitingTokens <= chunk)
        }
        #expect(relativeError(stream.logits(), expected[index]) < 1e-4, "piece \(piece), \(end) tokens")
        #expect(stream.sequence.waitingTokens == 0 && stream.memory.tokenCount == Int64(end))
      }
    }
  }

  @Test func `a prompt that is stopped between chunks goes on where it stopped`() throws {
    let ids = randomIDs(100, seed: 2)
    let whole = try loadTiny().single()
    whole.append(ids)
    let stream = try loadTiny(chunk: 8).single()
    stream.append(ids)
    var asked = 0
    #expect(
      stream.logits {
        asked += 1
        return asked < 5
      }.isEmpty)
    #expect(stream.memory.tokenCount == 40 && stream.sequence.waitingTokens == 60 && stream.sequence.count == 100)
    #expect(relativeError(stream.logits(), whole.logits()) < 1e-5)
  }

  @Test func `chunks are as long as the cache admits`() throws {
    let stream = try loadTiny(chunk: 30).single("streaming-llm:4+13")
    stream.append(randomIDs(90, seed: 3))
    var ends: [Int64] = []
    _ = stream.logits {
      ends.append(stream.memory.tokenCount)
      return true
    }
    // The cache is filled to its 17 tokens exactly, then chunks are whole again.
    #expect(ends == [17, 47, 77])
  }

  @Test func `feeding full chunks tells of each`() throws {
    let stream = try loadTiny(chunk: 10).single()
    stream.append(randomIDs(35, seed: 4))
    var fed: [Int64] = []
    stream.readFullChunks { fed.append(stream.memory.tokenCount) }
    #expect(fed == [10, 20, 30])
    #expect(stream.sequence.waitingTokens == 5)
  }

  @Test func `the log keeps the newest tokens`() throws {
    let stream = try loadTiny().single(log: TokenLog(limit: 3))
    stream.append([5, 6, 7, 8])
    stream.append(9)
    #expect(stream.sequence.count == 5)
    #expect((0..<3).map { stream.sequence.log[back: $0] } == [9, 8, 7])
  }

  @Test(arguments: ["full", "streaming-llm:4+12", "window:16"], [0, 1, 2, 3, 7, 12, 20, 30])
  func `what is taken back is as if it had never come`(plan: String, tokens: Int) throws {
    let ids = randomIDs(60, seed: 6)
    let other = randomIDs(9, seed: 7)
    let stream = try loadTiny(chunk: 8).single(plan)
    try stream.sequence.keepUndoLog(depth: 40)
    stream.append(Array(ids[..<45]))
    _ = stream.logits()
    for id in ids[45..<50] {
      stream.append(id)
      _ = stream.logits()
    }
    // Some of the last ones have not gone through the model yet.
    stream.append(Array(ids[50...]))
    try stream.sequence.rollBack(tokens: tokens)
    #expect(stream.sequence.count == 60 - tokens)
    #expect(stream.sequence.log[back: 0] == ids[59 - tokens])
    stream.append(other)
    let never = try loadTiny(chunk: 8).single(plan)
    never.append(Array(ids[..<(60 - tokens)]) + other)
    #expect(relativeError(stream.logits(), never.logits()) < 1e-4)
    #expect(stream.memory.tokenCount == Int64(69 - tokens))
  }

  @Test func `more than the log holds cannot be taken back, and nothing changes`() throws {
    let stream = try loadTiny(chunk: 8).single("streaming-llm:4+12")
    try stream.sequence.keepUndoLog(depth: 10)
    stream.append(randomIDs(30, seed: 8))
    _ = stream.logits()
    stream.append(randomIDs(3, seed: 9))
    #expect(throws: KVCacheError.self) { try stream.sequence.rollBack(tokens: 14) }
    #expect(stream.sequence.count == 33 && stream.sequence.waitingTokens == 3 && stream.memory.tokenCount == 30)
  }
}
