import KVCaches
import Testing

@Suite("Cache specifications")
struct PlanGrammarTests {
  @Test(
    "are read, and written back in normal form",
    arguments: [
      ("full", "tokens"),
      ("tokens", "tokens"),
      ("full[]", "tokens"),
      ("window:1024", "window:1024"),
      ("window:1", "window:1"),
      ("window:00012", "window:12"),
      ("window:268435456", "window:268435456"),
      ("window:7[]", "window:7"),
      ("sinks:4,window:1020", "sinks:4,window:1020"),
      ("sinks:4[],window:1020[]", "sinks:4,window:1020"),
      ("streaming-llm", "sinks:4,window:1020"),
      ("streaming-llm:4+1020", "sinks:4,window:1020"),
      ("streaming-llm:0+8", "window:8"),
      ("streaming-llm:1000+1", "sinks:1000,window:1"),
      ("sinks:1,window:2,window:3,tokens", "sinks:1,window:2,window:3,tokens"),
      ("sinks:3,tokens", "sinks:3,tokens"),
    ])
  func valid(specification: String, normal: String) throws {
    let plan = try KVCache.Plan(specification)
    #expect(plan.description == normal)
    #expect(try KVCache.Plan(normal) == plan)
  }

  @Test("read like the diagram in code")
  func builder() throws {
    let plan = KVCache.Plan {
      Sinks(4)
      Window(1020)
    }
    #expect(plan == (try KVCache.Plan("streaming-llm:4+1020")))
    #expect(plan.capacity == 1024)
    #expect(KVCache.Plan.full == (try KVCache.Plan("full")))
    #expect(KVCache.Plan.full.capacity == nil)
    #expect(plan != .full)
  }

  private static let known = "full, streaming-llm:SINKS+WINDOW, tokens, sinks:COUNT, window:SIZE"

  @Test(
    "are refused with the reason",
    arguments: [
      ("", "cache '': a name is missing"),
      (",", "cache ',': a name is missing"),
      (":4", "cache ':4': a name is missing"),
      ("[]", "cache '[]': a name is missing"),
      ("window:5,", "cache 'window:5,': a name is missing"),
      (",window:5", "cache ',window:5': a name is missing"),
      ("sinks:4,,window:5", "cache 'sinks:4,,window:5': a name is missing"),
      ("ring:5", "cache 'ring:5': unknown cache 'ring'; known are \(known)"),
      ("Window:5", "cache 'Window:5': unknown cache 'Window'; known are \(known)"),
      (" window:5", "cache ' window:5': unknown cache ' window'; known are \(known)"),
      ("sinks:4, window:5", "cache 'sinks:4, window:5': unknown cache ' window'; known are \(known)"),
      ("sinks:4,full", "cache 'sinks:4,full': the preset 'full' cannot be one of several stages"),
      (
        "streaming-llm:4+9,window:5",
        "cache 'streaming-llm:4+9,window:5': the preset 'streaming-llm' cannot be one of several stages"
      ),
      ("window", "cache 'window': needs a size, for example 'window:1024'"),
      ("window:", "cache 'window:': needs a size, for example 'window:1024'"),
      ("window[]", "cache 'window[]': needs a size, for example 'window:1024'"),
      ("sinks,window:4", "cache 'sinks': needs a count, for example 'sinks:4'"),
      ("window:0", "cache 'window:0': size must be from 1 to 268435456, but is 0"),
      ("window:-1", "cache 'window:-1': size must be a number, but is '-1'"),
      ("window:+1", "cache 'window:+1': size must be a number, but is '+1'"),
      ("window:4k", "cache 'window:4k': size must be a number, but is '4k'"),
      ("window:4.5", "cache 'window:4.5': size must be a number, but is '4.5'"),
      ("window:４", "cache 'window:４': size must be a number, but is '４'"),
      ("window:5:6", "cache 'window:5:6': size must be a number, but is '5:6'"),
      ("window:5]", "cache 'window:5]': size must be a number, but is '5]'"),
      ("window:268435457", "cache 'window:268435457': size must be from 1 to 268435456, but is 268435457"),
      (
        "window:99999999999999999999",
        "cache 'window:99999999999999999999': size must be from 1 to 268435456, but is 99999999999999999999"
      ),
      ("sinks:0,window:4", "cache 'sinks:0': count must be from 1 to 268435456, but is 0"),
      ("tokens:5", "cache 'tokens:5': takes no number, but has '5'"),
      ("full:5", "cache 'full:5': takes no number, but has '5'"),
      ("full:", "cache 'full:': takes no number, but has ''"),
      ("streaming-llm:4", "cache 'streaming-llm:4': needs SINKS+WINDOW, for example 'streaming-llm:4+1020'"),
      ("streaming-llm:4+", "cache 'streaming-llm:4+': window must be a number, but is ''"),
      ("streaming-llm:4+0", "cache 'streaming-llm:4+0': window must be from 1 to 268435456, but is 0"),
      ("streaming-llm:1+2+3", "cache 'streaming-llm:1+2+3': needs SINKS+WINDOW, for example 'streaming-llm:4+1020'"),
      ("window:5[size=4]", "cache 'window:5[size=4]': unknown option 'size'; it has none"),
      ("window:5[,]", "cache 'window:5[,]': unknown option ''; it has none"),
      ("full[x]", "cache 'full[x]': unknown option 'x'; it has none"),
      ("window:5[", "cache 'window:5[': a bracket is not closed"),
      ("window:5[x=1", "cache 'window:5[x=1': a bracket is not closed"),
      ("window:5[]x", "cache 'window:5[]x': expected a comma before 'x'"),
      ("window:5[][]", "cache 'window:5[][]': expected a comma before '[]'"),
      ("sinks:4", "cache 'sinks:4': needs a stage for recent tokens behind the sinks"),
      ("window:5,sinks:4", "cache 'window:5,sinks:4': sinks must be the first stage"),
      ("sinks:4,sinks:4,window:5", "cache 'sinks:4,sinks:4,window:5': sinks must be the first stage"),
      (
        "tokens,window:5",
        "cache 'tokens,window:5': nothing falls out of 'tokens', so no stage can stand behind it"
      ),
    ])
  func invalid(specification: String, message: String) {
    do throws(KVCacheError) {
      let plan = try KVCache.Plan(specification)
      Issue.record("'\(specification)' was read as \(plan)")
    } catch {
      #expect(error.description == message)
    }
  }

  @Test("slot types that do not fit the head are refused")
  func slotTypes() {
    let shape = KVCache.Shape(layers: 1, queryHeads: 1, keyValueHeads: 1, headDim: 48)
    let error = #expect(throws: KVCacheError.self) {
      _ = try KVCache(plan: .full, shape: shape, slotType: .q8_0, positions: .none)
    }
    #expect(error?.description == "cache 'tokens': slots of type q8_0 do not fit heads of 48 dimensions")
  }
}
