import CacheTestSupport
import Kernels
import TestSupport
import Testing

@testable import KVCaches

/// When a prompt counts as ended.
@Suite("The end of a prompt")
struct PromptEndTests {
  @Test("a prompt too short to be cut leaves the choice to a later one")
  func shortFirstPrompt() throws {
    let subject = try PromptSubject("snapkv:64")
    let cache = try subject.makeCache()
    var reference = ReferencePrompt(subject.sequence, try #require(subject.plan.prompt))
    subject.run(cache, 10)
    subject.finish(cache)
    #expect(cache.heldTokens == 10)
    subject.run(cache, 200)
    #expect(cache.heldTokens == 210)
    reference.append(210)
    #expect(subject.chosen(cache) == reference.vote(budgets: [32, 32, 32]))
    subject.finish(cache)
    #expect(cache.heldTokens == 64 && cache.tokenCount == 210)
    let (error, place) = subject.shape.largestError(subject.run(cache, 9, .ones), reference.run(9))
    #expect(error <= CacheCase.tolerance(.float32), "\(place)")
    // What came before has ended by now.
    subject.finish(cache)
    #expect(cache.heldTokens == 73)
  }

  @Test(
    "of prompts of every length, the first that can be cut is the last that is", arguments: [1, 31, 32, 33, 63, 64, 65])
  func everyLength(first: Int) throws {
    let subject = try PromptSubject("snapkv:64")
    for answer in [0, 5] {
      let cache = try subject.makeCache()
      subject.run(cache, first)
      subject.finish(cache)
      #expect(cache.heldTokens == min(first, 64))
      subject.run(cache, answer, .ones)
      subject.run(cache, 100)
      subject.finish(cache)
      // A prompt that was cut is followed by all that came later.
      #expect(cache.heldTokens == (first > 64 ? 64 + answer + 100 : 64), "\(first) tokens, then \(answer)")
      subject.run(cache, 30)
      subject.finish(cache)
      #expect(cache.heldTokens == (first > 64 ? 64 + answer + 130 : 94), "\(first) tokens, then \(answer)")
    }
  }

  @Test("a cache of every prompt is cut at each of them", arguments: [1, 10, 64, 65])
  func everyPrompt(first: Int) throws {
    let subject = try PromptSubject("snapkv:64[mode=every-prefill]")
    let cache = try subject.makeCache()
    for count in [first, 70, 3, 50] {
      let before = cache.heldTokens
      subject.run(cache, count)
      subject.finish(cache)
      #expect(cache.heldTokens == min(64, before + count))
    }
  }

  @Test(
    "where what follows is compressed a short prompt still leads to a bounded cache",
    arguments: [1, 4, 10, 39, 40, 41, 100], KVCache.SlotType.allCases)
  func recompression(prompt: Int, slotType: KVCache.SlotType) throws {
    for (plan, size, period) in [
      ("k-center:40[window=8,recompress=16]", 40, 16), ("k-center:44[recompress=5]", 44, 5),
      ("k-center:40[window=8,sinks=0,recompress=100]", 40, 100),
    ] {
      let subject = try PromptSubject(plan, slotType: slotType, count: 600)
      let cache = try subject.makeCache()
      subject.run(cache, prompt)
      subject.finish(cache)
      #expect(cache.heldTokens == min(prompt, size))
      var largest = 0
      for chunking in [Chunking.ones, .sizes([50])] {
        _ = subject.attention.run(
          cache, subject.sequence, tokens: Int(cache.tokenCount)..<Int(cache.tokenCount) + 240, chunking: chunking
        ) { _ in
          largest = max(largest, cache.heldTokens)
        }
      }
      #expect(largest == size + period, "\(plan) after \(prompt) tokens")
      // The end of a later prompt changes nothing of that.
      subject.finish(cache)
      #expect(cache.heldTokens <= size + period)
    }
  }

  @Test("a prompt of nothing, or ended twice, ends like any other")
  func edges() throws {
    for plan in ["snapkv:64", "k-center:40[window=8,recompress=16]", "snapkv[ratio=0.5,window=3]"] {
      let subject = try PromptSubject(plan)
      let (cache, plain) = (try subject.makeCache(), try subject.makeCache())
      if subject.plan.prompt?.recompression == nil { subject.finish(cache) }
      for cache in [cache, plain] {
        subject.run(cache, 150)
        subject.finish(cache)
      }
      subject.finish(cache)
      #expect(cache.snapshot() == plain.snapshot(), "\(plan)")
    }
  }

  @Test(
    "a prompt that fits stays as it is, bit for bit",
    arguments: [
      "snapkv:150[window=8]", "snapkv[window=8]", "snapkv:150[window=8,layers=pyramid,heads=adaptive]",
      "snapkv[ratio=0]", "snapkv[ratio=1,window=150]", "k-center:150",
      "k-center[window=1,ratio=0]", "snapkv:2000[window=1500,mode=every-prefill]",
    ])
  func fits(plan: String) throws {
    let subject = try PromptSubject(plan, slotType: .float16)
    let (cache, full) = (try subject.makeCache(), try subject.makeCache(.full))
    #expect(subject.run(cache, 150) == subject.run(full, 150))
    #expect(subject.chosen(cache) == nil)
    subject.finish(cache)
    #expect(subject.run(cache, 50, .ones) == subject.run(full, 50, .ones))
    #expect(cache.heldTokens == 200)
  }

  @Test("the end of a prompt changes no other cache")
  func otherCaches() throws {
    let subject = try PromptSubject("streaming-llm:4+20")
    let cache = try subject.makeCache()
    subject.run(cache, 100)
    let before = cache.snapshot()
    subject.finish(cache)
    #expect(cache.snapshot() == before)
  }
}
