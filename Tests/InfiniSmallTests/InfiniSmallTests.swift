import Engine
import InfiniSmall
import KVCaches
import Kernels
import Models
import Testing
import Tokenizers

/// The model that ships, by Sluice alone: what its memory holds is found again, and nothing without it.
@Suite struct InfiniSmallTests {
  private let loaded: LanguageModel.Loaded

  init() throws {
    loaded = try LanguageModel.Loaded(path: InfiniSmall.path, options: LanguageModel.Options(threads: 1))
  }

  private static let distances = [1, 2, 4, 8, 15]
  private static let keysEach = 8

  @Test func `38 of 40 pass keys are found 1 to 15 segments back`() throws {
    let found = try keysFound("infini")
    #expect(found >= 38, "\(found)")
  }

  @Test func `no pass key is found where gates are shut`() throws {
    #expect(try keysFound("infini[gate=-100]") == 0)
  }

  @Test func `its cache takes as many bytes after a million tokens as after a thousand`() throws {
    let plan = try plan("infini")
    let layers = loaded.engine.model.configuration.layers
    let bytes = [1 << 10, 1 << 20].map { KVCache.bytes(plan: plan, layers: layers, slotType: .float16, tokens: $0) }
    #expect(bytes[0] == bytes[1])
  }

  @Test func `it goes by its name`() throws {
    #expect(try ModelLocator.path(of: "infini-small", environment: [:]) == ModelLocator.shipped + "/infini-small.gguf")
  }

  private func plan(_ specification: String) throws -> KVCache.Plan {
    try KVCache.Plan(specification, resolver: .none.model(loaded.engine.model.configuration.memory))
  }

  /// How many of the keys are written down in full.
  private func keysFound(_ specification: String) throws -> Int {
    let plan = try plan(specification)
    var random = SplitMix64(seed: 1)
    var found = 0
    for distance in Self.distances {
      for _ in 0..<Self.keysEach {
        let key = (0..<5).map { _ in String(Int.random(in: 0..<10, using: &random)) }.joined()
        let cache = try loaded.engine.makeCache(plan, slotType: .float32)
        if answer(to: prompt(key: key, distance: distance, using: &random), cache: cache) == key { found += 1 }
      }
    }
    return found
  }

  /// The key in the first segment, the question in the segment that is `distance` later, neither of them cut.
  private func prompt(key: String, distance: Int, using random: inout SplitMix64) -> [Int32] {
    let segment = 64
    let fact = ["\nThe pass key is ", key, ". Remember it. ", key, " is the pass key.\n"].flatMap { encode($0) }
    let question = encode("\nWhat is the pass key? The pass key is ")
    let filler = encode(Self.filler)
    func fill(_ ids: inout [Int32], to count: Int) {
      while ids.count < count { ids.append(filler[ids.count % filler.count]) }
    }
    var ids: [Int32] = []
    fill(&ids, to: Int.random(in: 0...(segment - fact.count), using: &random))
    ids += fact
    // The answer takes five tokens of the question's segment.
    fill(&ids, to: distance * segment + Int.random(in: 0...(segment - question.count - 5), using: &random))
    return ids + question
  }

  private func encode(_ text: String) -> [Int32] { loaded.tokenizer.encode(text) }

  /// The five likeliest tokens, one after another.
  private func answer(to prompt: [Int32], cache: KVCache) -> String {
    var last = 0
    loaded.engine.feed(prompt, cache: cache) { chunk in
      last = chunk.count - 1
      return true
    }
    var answer: [Int32] = []
    while answer.count < 5 {
      let logits = loaded.engine.logits(row: last)
      let likeliest = logits.indices.max { logits[$0] < logits[$1] }.map(Int32.init) ?? 0
      answer.append(likeliest)
      loaded.engine.feed([likeliest], cache: cache)
      last = 0
    }
    return loaded.tokenizer.decode(answer)
  }

  private static let filler = """
    The road went down between the hedges to the river, and the old man followed it slowly, with his hat in his hand. He had \
    not seen the place since he was a boy; the mill was still there, and the bridge, but nobody whom he met knew his name. \
    "You will want a bed," said the woman at the inn, "and there is none to be had before Thursday." He thanked her, and asked \
    whether the miller's daughter was alive. She looked at him for a while before she answered. It was a long story, she said, \
    and he had better sit down. The rain had begun again, and the windows of the little room were quite dark.\n
    """
}
