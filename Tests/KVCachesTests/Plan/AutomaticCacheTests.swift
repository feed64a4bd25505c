import KVCaches
import Testing

@Suite struct AutomaticCacheTests {
  @Test("Bytes are a whole number with or without a unit")
  func bytes() throws {
    let rows: [(String, Int)] = [
      ("auto:1", 1), ("auto:4096", 4096), ("auto:2K", 2048), ("auto:2KiB", 2048), ("auto:64M", 64 << 20),
      ("auto:64MiB", 64 << 20), ("auto:3G", 3 << 30), ("auto:3GiB", 3 << 30), ("auto:1125899906842624", 1 << 50),
    ]
    for (text, bytes) in rows { #expect(try AutomaticCache(text)?.bytes == bytes) }
    for text in ["full", "window:512", "automatic:5", "sinks:4,window:5", ""] {
      #expect(try AutomaticCache(text) == nil)
    }
    let bad = [
      "auto", "auto:", "auto:0", "auto:-1", "auto:1.5M", "auto:MiB", "auto:64 MiB", "auto:64mib", "auto:1T", "auto:٣",
      "auto:9999999999999999999", "auto:1125899906842625", "auto:1048577G", "auto:64MiB,window:5",
    ]
    for text in bad { #expect(throws: KVCacheError.self, "\(text)") { try AutomaticCache(text) } }
  }

  private static let shapes = [
    KVCache.Shape(layers: 30, queryHeads: 9, keyValueHeads: 3, headDim: 64),
    KVCache.Shape(layers: 2, queryHeads: 4, keyValueHeads: 4, headDim: 80),
    KVCache.Shape(layers: 22, queryHeads: 32, keyValueHeads: 4, headDim: 128),
  ]

  @Test("What is chosen fits, and the next larger one would not", arguments: shapes, [nil] + KVCache.SlotType.allCases)
  func fits(shape: KVCache.Shape, slotType: KVCache.SlotType?) throws {
    let layers = shape.layers(positions: .none)
    if let slotType, KVCache.bytes(plan: .full, shape: shape, slotType: slotType, tokens: 1) == 0 { return }
    let trained = 4096
    for shift in stride(from: 12, through: 34, by: 1) {
      guard let automatic = try AutomaticCache("auto:\(3 << shift)") else { continue }
      let choice: AutomaticCache.Choice
      do {
        choice = try automatic.choose(layers: layers, trainedLength: trained, slotType: slotType)
      } catch {
        let sizes = try (slotType.map { [$0] } ?? [.float16, .q8_0, .q8_0_q4_1]).map {
          KVCache.bytes(plan: try KVCache.Plan("cascading:32/4"), shape: shape, slotType: $0, tokens: 0)
        }
        let smallest = try #require(sizes.filter { $0 > 0 }.min())
        #expect(smallest > automatic.bytes, "\(error)")
        continue
      }
      let bytes = { (plan: String) in
        KVCache.bytes(plan: try KVCache.Plan(plan), shape: shape, slotType: choice.slotType, tokens: 0)
      }
      #expect(choice.plan.capacity != nil, "a stream has no end")
      #expect(try bytes("\(choice.plan)") == choice.bytes && choice.bytes <= automatic.bytes)
      #expect(slotType == nil || choice.slotType == slotType)
      let capacity = try #require(choice.plan.capacity)
      #expect(try capacity >= trained - 4 || bytes("cascading:\(capacity + 4)/4") > automatic.bytes)
    }
  }

  @Test("Where the trained length fits, all of it is kept in the finer type that fits")
  func trainedLength() throws {
    let shape = Self.shapes[0], layers = shape.layers(positions: .none)
    let window = { (type: KVCache.SlotType) in
      KVCache.bytes(plan: try KVCache.Plan("streaming-llm:4+2044"), shape: shape, slotType: type, tokens: 0)
    }
    let rows: [(Int, String, KVCache.SlotType)] = [
      (try window(.float16), "streaming-llm:4+2044", .float16),
      (try window(.float16) - 1, "streaming-llm:4+2044", .q8_0),
      (try window(.q8_0), "streaming-llm:4+2044", .q8_0), (try window(.q8_0) - 1, "streaming-llm:4+2044", .q8_0_q4_1),
      (try window(.q8_0_q4_1), "streaming-llm:4+2044", .q8_0_q4_1),
    ]
    for (bytes, plan, type) in rows {
      let choice = try #require(try AutomaticCache("auto:\(bytes)"))
        .choose(layers: layers, trainedLength: 2048, slotType: nil)
      #expect(choice.plan == (try KVCache.Plan(plan)) && choice.slotType == type)
    }
    let less = try #require(try AutomaticCache("auto:\(window(.q8_0_q4_1) - 1)"))
      .choose(layers: layers, trainedLength: 2048, slotType: nil)
    #expect("\(less.plan)".hasPrefix("sinks:4,window:"))
  }
}
