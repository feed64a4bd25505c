import Testing

@testable import KVCaches

/// What presets take from a model that declares what it was trained to remember with.
@Suite("Presets for a model with a memory or a sink of its own")
struct TrainedMemoryTests {
  private static let delta = TrainedMemory.Segments(
    size: 96, memory: Compressive(update: .delta, firstSegment: .scaled))

  private func plan(_ specification: String, _ trained: TrainedMemory) throws -> String {
    try KVCache.Plan(specification, resolver: .none.model(trained)).description
  }

  @Test(
    "infini is the model's where it is not told otherwise",
    arguments: [
      ("infini", "segment:96,compressive[update=delta,first=scaled]"),
      ("infini:32", "segment:32,compressive[update=delta,first=scaled]"),
      ("infini[update=linear]", "segment:96,compressive[first=scaled]"),
      ("infini:7[first=bypass,gate=0.5]", "segment:7,compressive[update=delta,gate=0.5]"),
      ("segment:96,compressive", "segment:96,compressive"),
    ])
  func infini(specification: String, expected: String) throws {
    #expect(try plan(specification, TrainedMemory(segments: Self.delta)) == expected)
  }

  @Test("without a model, or for one that declares no segments, infini needs a number")
  func undeclared() {
    for trained in [TrainedMemory(), TrainedMemory(sinks: 1)] {
      let problem = #expect(throws: KVCacheError.self) { try plan("infini", trained) }
      #expect(problem?.description.contains("needs a segment") == true)
    }
  }

  @Test(
    "a trained sink is the only one, unless a specification says how many",
    arguments: [
      ("streaming-llm", "sinks:1,window:1023"),
      ("streaming-llm:4+60", "sinks:4,window:60"),
      ("streaming-llm[positions=original]", "sinks:1[positions=original],window:1023"),
      ("cascading:9/2", "sinks:1,window:4/1,window:4/2"),
      ("cascading:9/2[sinks=0]", "window:5/1,window:4/2"),
      ("h2o:65", "sinks:1,window:32,scored:32[positions=original]"),
      ("tova:65", "sinks:1,window:1,scored:63[gamma=0.0,positions=original]"),
      ("uniform:129", "sinks:1,window:32,uniform:96"),
      ("snapkv:64", "prompt:64[sinks=1]"),
      ("sinks:4,window:60", "sinks:4,window:60"),
    ])
  func sinks(specification: String, expected: String) throws {
    let trained = TrainedMemory(sinks: 1)
    #expect(try plan(specification, trained) == expected)
    // What was written down is the same for every model.
    #expect(try plan(expected, trained) == expected && plan(expected, TrainedMemory()) == expected)
  }

  @Test("a stream without end is remembered as the model was trained to")
  func streams() {
    #expect(TrainedMemory().streamingPlan(budget: 64).description == "sinks:4,window:60")
    #expect(TrainedMemory(sinks: 1).streamingPlan(budget: 64).description == "sinks:1,window:63")
    #expect(TrainedMemory(sinks: 1).streamingPlan(budget: 1).description == "sinks:1,window:1")
    let segments = TrainedMemory(segments: Self.delta).streamingPlan(budget: 64)
    #expect(segments.description == "segment:96,compressive[update=delta,first=scaled]")
  }
}
