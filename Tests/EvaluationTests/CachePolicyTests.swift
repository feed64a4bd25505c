import Evaluation
import KVCaches
import Testing

@Suite struct CachePolicyTests {
  @Test(arguments: [
    ("recompute:512", 512, 1, "recompute:512"), ("recompute:512/1", 512, 1, "recompute:512"),
    ("recompute:512/128", 512, 128, "recompute:512/128"), ("recompute:1", 1, 1, "recompute:1"),
    ("recompute:7/7", 7, 7, "recompute:7/7"), ("recompute:1048576/3", 1 << 20, 3, "recompute:1048576/3"),
  ])
  func `recomputation has a window and a stride`(text: String, window: Int, stride: Int, description: String) throws {
    let policy = try CachePolicy(text)
    #expect(policy == .recompute(window: window, stride: stride))
    #expect(policy.description == description)
    #expect(try CachePolicy(policy.description) == policy)
  }

  @Test(arguments: ["full", "window:512", "streaming-llm:4+508", "sinks:4,window:508"])
  func `anything else is a cache plan and keeps its name`(text: String) throws {
    let policy = try CachePolicy(text)
    #expect(policy == .plan(try KVCache.Plan(text), name: text))
    #expect(policy.description == text)
  }

  @Test(arguments: [
    "recompute", "recompute:", "recompute:0", "recompute:-1", "recompute:8/0", "recompute:8/9", "recompute:8/",
    "recompute:8/2/2", "recompute:+8", "recompute:8 ", "recompute:8/2[x=1]", "recompute:1048577",
    "recompute:99999999999999999999",
    "recomputed:8", "recompute:8,window:2",
  ])
  func `a bad recomputation says its form`(text: String) {
    let error = #expect(throws: KVCacheError.self) { try CachePolicy(text) }
    #expect(error?.description.contains("'\(text)'") == true)
    #expect(error?.description.contains("recompute:512/128") == true)
  }

  @Test(arguments: ["", "nonsense", "window", "window:0", "window:8[x=1]", "tokens,window:8"])
  func `a bad plan is a cache error`(text: String) {
    #expect(throws: KVCacheError.self) { try CachePolicy(text) }
  }
}
