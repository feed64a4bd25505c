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
    let (voting, full) = (try loaded.single("snapkv:24[window=4]"), try loaded.single())
    for stream in [voting, full] {
      stream.append(randomIDs(60, seed: 3))
      stream.readFullChunks()
      stream.append(randomIDs(40, seed: 4))
      #expect(stream.memory.heldTokens <= 100)
    }
    #expect(voting.logits() == full.logits())
    #expect(voting.memory.heldTokens == 24 && voting.memory.tokenCount == 100)
    // A token of the answer, and a second prompt, are kept.
    for (count, held) in [(1, 25), (2, 26)] {
      voting.append(Int32(70 + count))
      _ = voting.logits()
      #expect(voting.memory.heldTokens == held)
    }
    voting.append(randomIDs(40, seed: 5))
    _ = voting.logits()
    #expect(voting.memory.heldTokens == 66)
  }

  @Test func `every prompt is voted down where that is asked for, and no token of an answer`() throws {
    let stream = try loadTiny().single("snapkv:24[window=4,mode=every-prefill]")
    for (prompt, held) in [(60, 24), (1, 24), (40, 24)] {
      stream.append(randomIDs(prompt, seed: UInt64(prompt)))
      _ = stream.logits()
      #expect(stream.memory.heldTokens == held)
      stream.append(71)
      _ = stream.logits()
      #expect(stream.memory.heldTokens == held + 1)
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

  @Test(
    arguments: [
      "snapkv:24[window=4]", "snapkv:24[window=4,heads=adaptive,layers=pyramid]", "snapkv:24[window=4,choose=random]",
      "snapkv:24[window=4,mode=every-prefill]", "k-center:24[window=4]",
      "k-center:24[window=4,recompress=8]",
    ], [1, 7, 512])
  func `layer by layer a prompt leaves what it leaves chunk by chunk, bit for bit`(plan: String, chunk: Int) throws {
    let loaded = try loadTiny(chunk: chunk)
    let usual = try loaded.single(plan)
    let layered = try loaded.single(plan.replacing("]", with: ",order=layer-major]"))
    for stream in [usual, layered] {
      stream.memory.recordTokens()
      stream.append(randomIDs(60, seed: 3))
      stream.readFullChunks()
      stream.append(randomIDs(40, seed: 4))
    }
    #expect(layered.sequence.waitingTokens == 100 && layered.memory.bytes < usual.memory.bytes || chunk == 512)
    // An interrupted prompt goes on where it was.
    let interrupted = layered.logits { false }
    #expect(interrupted.isEmpty && layered.sequence.waitingTokens == 100 && layered.memory.tokenCount == 0)
    #expect(layered.logits() == usual.logits())
    #expect(layered.memory.bytes == usual.memory.bytes && layered.memory.heldTokens == 24)
    let shape = layered.memory.shape
    for layer in 0..<shape.layers {
      for head in 0..<shape.keyValueHeads {
        #expect(
          layered.memory.heldTokens(layer: layer, head: head) == usual.memory.heldTokens(layer: layer, head: head))
      }
    }
    #expect(layered.memory.centerRadii == usual.memory.centerRadii)
    // An answer, a later prompt, and one more answer.
    for ids in [randomIDs(9, seed: 5), randomIDs(3, seed: 6), randomIDs(30, seed: 7), [71]] {
      for stream in [usual, layered] { if ids.count == 9 { ids.forEach(stream.append) } else { stream.append(ids) } }
      #expect(layered.logits() == usual.logits(), "\(plan)")
    }
    let taken = try loaded.single(plan.replacing("]", with: ",order=layer-major]"))
    try taken.memory.restore(layered.memory.snapshot())
    #expect(taken.memory.snapshot() == layered.memory.snapshot())
  }

  @Test func `layer by layer a prompt that fits is the full cache's`() throws {
    let loaded = try loadTiny(chunk: 7)
    let (layered, full) = (try loaded.single("snapkv:120[order=layer-major]"), try loaded.single())
    for stream in [layered, full] { stream.append(randomIDs(100, seed: 8)) }
    #expect(layered.logits() == full.logits() && layered.memory.heldTokens == 100)
  }

  @Test func `layer by layer no more than one layer's tokens are held beside what is kept`() throws {
    let loaded = try loadTiny(chunk: 64)
    let cache = try loaded.engine.makeCache(
      KVCache.Plan("snapkv:24[window=4,order=layer-major]"), slotType: .float32)
    let tokens = randomIDs(3000, seed: 9)
    let reading = SingleSequence(Scheduler(engine: loaded.engine), Sequence(memory: cache))
    reading.append(tokens)
    var peak = 0
    _ = reading.logits {
      peak = max(peak, reading.sequence.bytes)
      return true
    }
    peak = max(peak, cache.bytes)
    let layers = cache.shape.layers
    let full = KVCache.bytes(plan: .full, shape: cache.shape, slotType: .float32, tokens: 3000)
    // Every layer has its queries; the last one to be read has all tokens, those before it 24, in whole panels.
    let queries = 2 * KVCache.bytes(plan: cache.plan, shape: cache.shape, slotType: .float32, tokens: 0)
    let kept = 32 * KVCache.bytesPerToken(shape: cache.shape, slotType: .float32)
    #expect(peak <= full / layers + kept + queries)
    let bound = LayerwisePrompt.peakBytes(plan: cache.plan, layers: cache.attention, slotType: .float32, tokens: 3000)
    #expect(peak <= bound && bound < full)
    #expect(cache.heldTokens == 24 && cache.tokenCount == 3000)
  }
}
