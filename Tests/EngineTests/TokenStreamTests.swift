import Engine
import KVCaches
import Kernels
import TestSupport
import Testing

@Suite struct TokenStreamTests {
  private static let plans = ["full", "window:16", "streaming-llm:4+12", "streaming-llm:1+40", "window:1"]

  @Test(arguments: plans, [1, 2, 5, 16, 33, 512])
  func `pieces and chunks do not change the logits`(plan: String, chunk: Int) throws {
    let ids = randomIDs(150, seed: 1)
    let whole = try loadTiny().stream(plan)
    let expected = try stride(from: 50, through: 150, by: 25).map { end in
      whole.append(Array(ids[whole.count..<end]))
      return whole.copiedLogits()
    }
    let loaded = try loadTiny(chunk: chunk)
    for piece in [1, 3, 20, 150] {
      let stream = try loaded.stream(plan)
      for (index, end) in stride(from: 50, through: 150, by: 25).enumerated() {
        while stream.count < end {
          stream.append(Array(ids[stream.count..<min(end, stream.count + piece)]))
          stream.feedFullChunks()
          #expect(stream.waitingTokens > 0 && stream.waitingTokens <= chunk)
        }
        #expect(relativeError(stream.copiedLogits(), expected[index]) < 1e-4, "piece \(piece), \(end) tokens")
        #expect(stream.waitingTokens == 0 && stream.cache.tokenCount == Int64(end))
      }
    }
  }

  @Test func `a prompt that is stopped between chunks goes on where it stopped`() throws {
    let ids = randomIDs(100, seed: 2)
    let whole = try loadTiny().stream()
    whole.append(ids)
    let stream = try loadTiny(chunk: 8).stream()
    stream.append(ids)
    var asked = 0
    #expect(
      stream.logits {
        asked += 1
        return asked < 5
      } == nil)
    #expect(stream.cache.tokenCount == 40 && stream.waitingTokens == 60 && stream.count == 100)
    #expect(relativeError(stream.copiedLogits(), whole.copiedLogits()) < 1e-5)
  }

  @Test func `chunks are as long as the cache admits`() throws {
    let stream = try loadTiny(chunk: 30).stream("streaming-llm:4+13")
    stream.append(randomIDs(90, seed: 3))
    var ends: [Int64] = []
    _ = stream.logits {
      ends.append(stream.cache.tokenCount)
      return true
    }
    // The cache is filled to its 17 tokens exactly, then chunks are whole again.
    #expect(ends == [17, 47, 77])
  }

  @Test func `feeding full chunks tells of each`() throws {
    let stream = try loadTiny(chunk: 10).stream()
    stream.append(randomIDs(35, seed: 4))
    var fed: [Int64] = []
    stream.feedFullChunks { fed.append(stream.cache.tokenCount) }
    #expect(fed == [10, 20, 30])
    #expect(stream.waitingTokens == 5)
  }

  @Test func `the log keeps the newest tokens`() throws {
    let loaded = try loadTiny()
    let stream = try TokenStream(engine: loaded.engine, plan: .full, log: TokenLog(limit: 3))
    stream.append([5, 6, 7, 8])
    stream.append(9)
    #expect(stream.count == 5)
    #expect((0..<3).map { stream.log[back: $0] } == [9, 8, 7])
  }

  @Test(arguments: [ElementEncoding.float32, .q8_0], [1, 7])
  func `sequences of one batch are as if alone`(encoding: ElementEncoding, chunk: Int) throws {
    let loaded = try loadTiny(TinyModel(encoding: encoding), threads: 2)
    let engine = loaded.engine
    let plans = ["full", "streaming-llm:2+6", "window:5"]
    let caches = try plans.map { try engine.makeCache(KVCache.Plan($0), slotType: .float32) }
    let alone = try plans.map { try loaded.stream($0) }
    for round in 0..<6 {
      // Each sequence has a length of its own, and the last one rests every other round.
      let members = round % 2 == 0 ? [0, 1, 2] : [1, 0]
      let parts = members.map { member in
        let ids = randomIDs(chunk + member, seed: UInt64(100 * round + member))
        return (tokens: Array(ids.prefix(caches[member].admissibleChunk(ids.count))), cache: caches[member])
      }
      engine.step(parts)
      let vocabulary = engine.vocabularySize
      var last = -1
      let rows = parts.map { part -> [Float] in
        last += part.tokens.count
        return Array(UnsafeBufferPointer(start: engine.logits(row: last).baseAddress, count: vocabulary))
      }
      for (index, member) in members.enumerated() {
        alone[member].append(parts[index].tokens)
        #expect(relativeError(rows[index], alone[member].copiedLogits()) < 1e-4, "round \(round), sequence \(member)")
      }
    }
  }

  @Test(arguments: ["full", "streaming-llm:4+12", "window:16"], [0, 1, 2, 3, 7, 12, 20, 30])
  func `what is taken back is as if it had never come`(plan: String, tokens: Int) throws {
    let ids = randomIDs(60, seed: 6)
    let other = randomIDs(9, seed: 7)
    let stream = try loadTiny(chunk: 8).stream(plan)
    try stream.keepUndoLog(depth: 40)
    stream.append(Array(ids[..<45]))
    _ = stream.logits()
    for id in ids[45..<50] {
      stream.append(id)
      _ = stream.logits()
    }
    // Some of the last ones have not gone through the model yet.
    stream.append(Array(ids[50...]))
    try stream.rollBack(tokens: tokens)
    #expect(stream.count == 60 - tokens)
    #expect(stream.log[back: 0] == ids[59 - tokens])
    stream.append(other)
    let never = try loadTiny(chunk: 8).stream(plan)
    never.append(Array(ids[..<(60 - tokens)]) + other)
    #expect(relativeError(stream.copiedLogits(), never.copiedLogits()) < 1e-4)
    #expect(stream.cache.tokenCount == Int64(69 - tokens))
  }

  @Test func `more than the log holds cannot be taken back, and nothing changes`() throws {
    let stream = try loadTiny(chunk: 8).stream("streaming-llm:4+12")
    try stream.keepUndoLog(depth: 10)
    stream.append(randomIDs(30, seed: 8))
    _ = stream.logits()
    stream.append(randomIDs(3, seed: 9))
    #expect(throws: KVCacheError.self) { try stream.rollBack(tokens: 14) }
    #expect(stream.count == 33 && stream.waitingTokens == 3 && stream.cache.tokenCount == 30)
  }
}
