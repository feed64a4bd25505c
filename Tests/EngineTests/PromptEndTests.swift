import Engine
import KVCaches
import Testing

@Suite
struct PromptEndTests {
  @Test(arguments: [1, 7, 512])
  func `a cache that votes on prompts writes the first token of the full cache and then holds what it kept`(
    chunk: Int
  ) throws {
    let loaded = try loadTiny(chunk: chunk)
    let (voting, full) = (try loaded.stream("snapkv:24[window=4]"), try loaded.stream())
    for stream in [voting, full] {
      stream.append(randomIDs(60, seed: 3))
      stream.feedFullChunks()
      stream.append(randomIDs(40, seed: 4))
      #expect(stream.cache.heldTokens <= 100)
    }
    #expect(voting.copiedLogits() == full.copiedLogits())
    #expect(voting.cache.heldTokens == 24 && voting.cache.tokenCount == 100)
    // A token of the answer, and a second prompt, are kept.
    for (count, held) in [(1, 25), (2, 26)] {
      voting.append(Int32(70 + count))
      _ = voting.copiedLogits()
      #expect(voting.cache.heldTokens == held)
    }
    voting.append(randomIDs(40, seed: 5))
    _ = voting.copiedLogits()
    #expect(voting.cache.heldTokens == 66)
  }

  @Test func `every prompt is voted down where that is asked for, and no token of an answer`() throws {
    let stream = try loadTiny().stream("snapkv:24[window=4,mode=every-prefill]")
    for (prompt, held) in [(60, 24), (1, 24), (40, 24)] {
      stream.append(randomIDs(prompt, seed: UInt64(prompt)))
      _ = stream.copiedLogits()
      #expect(stream.cache.heldTokens == held)
      stream.append(71)
      _ = stream.copiedLogits()
      #expect(stream.cache.heldTokens == held + 1)
    }
  }

  @Test func `a sequence that only reads is not voted on`() throws {
    let loaded = try loadTiny()
    let cache = try loaded.engine.makeCache(KVCache.Plan("snapkv:24[window=4]"), slotType: .float16)
    loaded.engine.feed(randomIDs(90, seed: 1), cache: cache)
    #expect(cache.heldTokens == 90)
    loaded.engine.finishPrompt(of: cache)
    #expect(cache.heldTokens == 24)
  }
}
