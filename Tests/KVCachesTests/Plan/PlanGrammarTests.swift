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
      ("cascading:1024/4", "sinks:4,window:255/1,window:255/2,window:255/4,window:255/8"),
      (
        "cascading:9/2[sinks=0,select=off,eager=off]",
        "window:5/1[select=off,eager=off],window:4/2[select=off,eager=off]"
      ),
      (
        "cascading:8/2[gamma=1e-3,reduce=mean,homogeneous=on]",
        "sinks:4,window:2/1[gamma=0.001,reduce=mean,homogeneous=on],window:2/2[gamma=0.001,reduce=mean,homogeneous=on]"
      ),
      ("window:9/3[gamma=0.9999,select=on]", "window:9/3"),
      ("window:9/3[homogeneous=on]", "window:9/3[homogeneous=on]"),
      ("cascading:8/1[sinks=0]", "window:8/1"),
      ("cascading:19/3", "sinks:4,window:5/1,window:5/2,window:5/4"),
      ("cascading:20/3", "sinks:4,window:6/1,window:5/2,window:5/4"),
      ("h2o:1024", "sinks:4,window:510,scored:510[positions=original]"),
      ("h2o:12[sinks=0,window=5,positions=clipped]", "window:5,scored:7"),
      ("tova:64", "sinks:4,window:1,scored:59[gamma=0.0,positions=original]"),
      ("h2o:1024[prompt=streamed]", "sinks:4,window:510,scored:510[positions=original]"),
      ("h2o:1024[prompt=whole,sinks=0]", "window:512,scored:512[positions=original,prompt=whole]"),
      (
        "tova:64[prompt=whole,sinks=0,homogeneous=on]",
        "window:1,scored:63[gamma=0.0,homogeneous=on,positions=original,prompt=whole]"
      ),
      ("streaming-llm:4+60[positions=original]", "sinks:4[positions=original],window:60"),
      ("streaming-llm:0+60[positions=original]", "window:60"),
      ("sinks:4[positions=in-cache],window:60", "sinks:4,window:60"),
      ("snapkv:64[heads=floor]", "prompt:64[heads=floor]"),
      ("scored:5[reduce=max],window:9", "scored:5[reduce=max],window:9"),
      ("snapkv", "prompt:2048"),
      ("snapkv:1024[]", "prompt:1024"),
      ("prompt:64[window=32,kernel=7,pool=max,reduce=mean,mode=once,layers=uniform,heads=uniform]", "prompt:64"),
      (
        "snapkv:64[window=16,kernel=5,pool=avg,reduce=max,mode=every-prefill,layers=pyramid,heads=adaptive]",
        "prompt:64[window=16,kernel=5,pool=avg,reduce=max,mode=every-prefill,layers=pyramid,heads=adaptive]"
      ),
      ("snapkv:64[choose=votes,sinks=0]", "prompt:64"),
      ("snapkv:64[sinks=4,choose=random]", "prompt:64[choose=random]"),
      (
        "prompt:64[choose=random,sinks=0,window=8,mode=every-prefill,layers=pyramid]",
        "prompt:64[choose=random,window=8,sinks=0,mode=every-prefill,layers=pyramid]"
      ),
      ("k-center:512", "prompt:512[choose=centers]"),
      ("snapkv:64[order=layer-major]", "prompt:64[order=layer-major]"),
      ("snapkv:64[order=chunk-major]", "prompt:64"),
      ("k-center:512[window=128,sinks=4]", "prompt:512[choose=centers]"),
      ("k-center:64[window=32]", "prompt:64[choose=centers]"),
      ("k-center:64[window=31]", "prompt:64[choose=centers,window=31]"),
      ("k-center[ratio=0.5]", "prompt[ratio=0.5,choose=centers]"),
      ("k-center[ratio=0.5,window=32]", "prompt[ratio=0.5,choose=centers,window=32]"),
      ("k-center:512[recompress=256]", "prompt:512[choose=centers,recompress=256]"),
      ("snapkv:64[reduce=max]", "prompt:64[reduce=max]"),
      ("snapkv:64[pool=none]", "prompt:64[pool=none]"),
      ("snapkv[ratio=0.75]", "prompt[ratio=0.75]"),
      ("snapkv[ratio=1,window=1]", "prompt[ratio=1.0,window=1]"),
      ("quest:1024", "pages:1024"),
      ("quest:96[page=32,dense-layers=0]", "pages:96[page=32,dense-layers=0]"),
      ("sinks:4,window:60,pages:32[page=16,dense-layers=2]", "sinks:4,window:60,pages:32"),
      ("sketch:1024", "sinks:4,window:633,scored:211,moments:16"),
      ("sketch:1024[window=128]", "sinks:4,window:128,scored:716,moments:16"),
      ("sketch:256", "sinks:4,window:57,scored:19,moments:16"),
      ("sketch:336[window=128]", "sinks:4,window:128,scored:28,moments:16"),
      (
        "sketch:1024[rank=8,weight=99,sinks=0,window=64,positions=original,reduce=max]",
        "window:64,scored:896[reduce=max,positions=original],moments:8[weight=99,positions=original]"
      ),
      ("window:9,moments:4[weight=4096,positions=clipped]", "window:9,moments:4"),
      ("window:9,moments:4[weight=99]", "window:9,moments:4[weight=99]"),
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

  private static let known =
    "full, streaming-llm:SINKS+WINDOW, cascading:BUDGET/LEVELS, h2o:BUDGET, tova:BUDGET, snapkv:CAPACITY, quest:BUDGET, "
    + "duo-attention:SINKS+WINDOW, k-center:CAPACITY, subgen:BUDGET, uniform:BUDGET, sketch:BUDGET, infini:SEGMENT, "
    + "tokens, sinks:COUNT, window:SIZE[/PERIOD], scored:COUNT, prompt:CAPACITY, pages:BUDGET, "
    + "clusters:COUNT, uniform:COUNT, moments:RANK, segment:SIZE, compressive"

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
      (
        "window:5[size=4]",
        "cache 'window:5[size=4]': unknown option 'size'; known are gamma, reduce, homogeneous, select, eager"
      ),
      (
        "window:5[,]",
        "cache 'window:5[,]': unknown option ''; known are gamma, reduce, homogeneous, select, eager"
      ),
      ("sinks:5[x=1]", "cache 'sinks:5[x=1]': unknown option 'x'; known are positions"),
      ("window:5[gamma=1]", "cache 'window:5[gamma=1]': gamma is for a window with a period"),
      ("window:5/0", "cache 'window:5/0': period must be from 1 to 268435456, but is 0"),
      ("window:5/2[gamma=2]", "cache 'window:5/2[gamma=2]': gamma must be from 0 to 1, but is '2'"),
      ("window:5/2[gamma=nan]", "cache 'window:5/2[gamma=nan]': gamma must be from 0 to 1, but is 'nan'"),
      ("window:5/2[reduce=sum]", "cache 'window:5/2[reduce=sum]': reduce must be max, mean or median, but is 'sum'"),
      (
        "window:5/1,scored:5[gamma=0.9999]",
        "cache 'window:5/1,scored:5[gamma=0.9999]': scores its tokens in more than one way"
      ),
      ("window:5/2[select=no]", "cache 'window:5/2[select=no]': select must be on or off, but is 'no'"),
      (
        "window:5/1,window:5/2[gamma=0.5]",
        "cache 'window:5/1,window:5/2[gamma=0.5]': scores its tokens in more than one way"
      ),
      (
        "window:5/2,tokens",
        "cache 'window:5/2,tokens': cannot score the tokens of 'tokens', which grows without bound"
      ),
      (
        "scored:5[positions=cache]",
        "cache 'scored:5[positions=cache]': positions must be original or clipped, but is 'cache'"
      ),
      (
        "sinks:4[positions=clipped],window:5",
        "cache 'sinks:4[positions=clipped]': positions must be in-cache or original, but is 'clipped'"
      ),
      (
        "sinks:4[positions=original],window:5/2",
        "cache 'sinks:4[positions=original],window:5/2': 'window:5/2' does not know the places in the stream that "
          + "'sinks:4[positions=original]' keeps; leave out positions"
      ),
      (
        "sinks:4[positions=original],window:5,scored:6",
        "cache 'sinks:4[positions=original],window:5,scored:6': 'sinks:4[positions=original]' and 'scored:6' must have "
          + "the same positions"
      ),
      (
        "h2o:64[prompt=whole,positions=clipped]",
        "cache 'h2o:64[prompt=whole,positions=clipped]': prompt=whole reads tokens where they stand in the stream; write "
          + "positions=original"
      ),
      ("h2o:64[prompt=all]", "cache 'h2o:64[prompt=all]': prompt must be streamed or whole, but is 'all'"),
      (
        "scored:9[positions=original,prompt=whole],window:5",
        "cache 'scored:9[positions=original,prompt=whole],window:5': nothing falls out of "
          + "'scored:9[positions=original,prompt=whole]' while a prompt is read, so no stage can stand behind it"
      ),
      ("cascading:64", "cache 'cascading:64': needs BUDGET/LEVELS, for example 'cascading:1024/4'"),
      (
        "cascading:64/61",
        "cache 'cascading:64/61': a budget of 64 leaves no slot for 61 levels beside 4 sinks"
      ),
      ("cascading:64/65", "cache 'cascading:64/65': levels must be from 1 to 64, but is 65"),
      (
        "cascading:64/4[schedule=pow9]",
        "cache 'cascading:64/4[schedule=pow9]': unknown schedule 'pow9'; known are pow2, pow3, pow4, linear, twos, "
          + "quarter, half, three-quarters, last"
      ),
      ("h2o:5", "cache 'h2o:5': a budget of 5 leaves no room for a window and scored tokens beside 4 sinks"),
      ("h2o:9[window=5]", "cache 'h2o:9[window=5]': window must be from 1 to 4, but is 5"),
      ("snapkv:", "cache 'snapkv:': needs a capacity, for example 'snapkv:2048'"),
      ("snapkv:32", "cache 'snapkv:32': a capacity of 32 leaves nothing to choose beside a window of 32"),
      ("snapkv:64[window=0]", "cache 'snapkv:64[window=0]': window must be from 1 to 268435456, but is 0"),
      (
        "snapkv[window=2048]",
        "cache 'snapkv[window=2048]': a capacity of 2048 leaves nothing to choose beside a window of 2048"
      ),
      (
        "k-center:36",
        "cache 'k-center:36': a capacity of 36 leaves nothing to choose beside a window of 32 and 4 sinks"
      ),
      (
        "k-center:64[kernel=3]",
        "cache 'k-center:64[kernel=3]': unknown option 'kernel'; known are window, sinks, mode, order, ratio, layers, "
          + "recompress"
      ),
      (
        "prompt:64[choose=centers,heads=adaptive]",
        "cache 'prompt:64[choose=centers,heads=adaptive]': heads is for choose=votes"
      ),
      ("prompt:64[recompress=9]", "cache 'prompt:64[recompress=9]': recompress is for choose=centers"),
      (
        "prompt:64[choose=random,recompress=9]",
        "cache 'prompt:64[choose=random,recompress=9]': recompress is for choose=centers"
      ),
      (
        "prompt:64[choose=best]",
        "cache 'prompt:64[choose=best]': choose must be votes, centers or random, but is 'best'"
      ),
      (
        "k-center:64[recompress=0]",
        "cache 'k-center:64[recompress=0]': recompress must be from 1 to 268435456, but is 0"
      ),
      (
        "k-center[ratio=0.5,recompress=9]",
        "cache 'k-center[ratio=0.5,recompress=9]': recompress needs a capacity, not a ratio"
      ),
      (
        "k-center:64[mode=every-prefill,recompress=9]",
        "cache 'k-center:64[mode=every-prefill,recompress=9]': recompress chooses again at later prompts as well; leave "
          + "out mode"
      ),
      ("snapkv[kernel=4]", "cache 'snapkv[kernel=4]': kernel must be odd, but is 4"),
      ("snapkv[kernel=257]", "cache 'snapkv[kernel=257]': kernel must be from 1 to 255, but is 257"),
      ("snapkv[pool=none,kernel=3]", "cache 'snapkv[pool=none,kernel=3]': kernel is for pool=max and pool=avg"),
      ("snapkv[pool=sum]", "cache 'snapkv[pool=sum]': pool must be max, avg or none, but is 'sum'"),
      ("snapkv[reduce=median]", "cache 'snapkv[reduce=median]': reduce must be mean or max, but is 'median'"),
      ("snapkv[mode=twice]", "cache 'snapkv[mode=twice]': mode must be once or every-prefill, but is 'twice'"),
      (
        "subgen:64[mode=paper,half-life=4]",
        "cache 'subgen:64[mode=paper,half-life=4]': half-life is for mode=ward"
      ),
      (
        "window:4,clusters:9[kind=paper,half-life=4]",
        "cache 'clusters:9[kind=paper,half-life=4]': half-life is for kind=ward"
      ),
      ("subgen:64[half-life=few]", "cache 'subgen:64[half-life=few]': half-life must be a number, but is 'few'"),
      ("subgen:64[half-life=0]", "cache 'subgen:64[half-life=0]': half-life must be from 1 to 268435456, but is 0"),
      ("snapkv[layers=flat]", "cache 'snapkv[layers=flat]': layers must be uniform or pyramid, but is 'flat'"),
      ("snapkv[heads=x]", "cache 'snapkv[heads=x]': heads must be uniform or adaptive or floor, but is 'x'"),
      ("snapkv:64[ratio=0.5]", "cache 'snapkv:64[ratio=0.5]': takes a capacity or a ratio, not both"),
      ("snapkv[ratio=1.5]", "cache 'snapkv[ratio=1.5]': ratio must be from 0 to 1, but is '1.5'"),
      ("snapkv[ratio=nan]", "cache 'snapkv[ratio=nan]': ratio must be from 0 to 1, but is 'nan'"),
      ("sinks:4,prompt:64", "cache 'sinks:4,prompt:64': 'prompt:64' must stand alone"),
      (
        "prompt:64,window:5",
        "cache 'prompt:64,window:5': nothing falls out of 'prompt:64', so no stage can stand behind it"
      ),
      ("quest", "cache 'quest': needs a budget, for example 'quest:1024'"),
      (
        "sketch:255",
        "cache 'sketch:255': a budget of 255 is too small: moments take the memory of 176 tokens, so the least is 256"
      ),
      (
        "sketch:335[window=128]",
        "cache 'sketch:335[window=128]': a budget of 335 is too small: moments take the memory of 176 tokens, so the least "
          + "is 336"
      ),
      ("window:9,moments:361", "cache 'moments:361': 361 directions have more than 65536 products of up to two"),
      (
        "window:2,moments:16",
        "cache 'window:2,moments:16': 'moments:16' takes its directions from keys that stages in front of it hold, so those "
          + "need 20 slots or more, but have 2"
      ),
      ("moments:16", "cache 'moments:16': needs a window of recent tokens in front of 'moments:16'"),
      (
        "window:9,scored:3,moments:4[positions=original]",
        "cache 'window:9,scored:3,moments:4[positions=original]': 'scored:3' and 'moments:4[positions=original]' must "
          + "have the same positions"
      ),
      ("pages:16", "cache 'pages:16': budget must be two or more whole pages of 16 tokens, but is 16"),
      ("quest:1000", "cache 'quest:1000': budget must be two or more whole pages of 16 tokens, but is 1000"),
      (
        "quest:96[page=48]", "cache 'quest:96[page=48]': page must be a power of two from 16 to 1024, but is 48"
      ),
      (
        "pages:64[dense-layers=-1]", "cache 'pages:64[dense-layers=-1]': dense-layers must be a number, but is '-1'"
      ),
      (
        "pages:64,window:5",
        "cache 'pages:64,window:5': nothing falls out of 'pages:64', so no stage can stand behind it"
      ),
      (
        "h2o:9,pages:64", "cache 'h2o:9,pages:64': the preset 'h2o' cannot be one of several stages"
      ),
      (
        "scored:9,pages:64",
        "cache 'scored:9,pages:64': cannot score the tokens of 'pages:64', which grows without bound"
      ),
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
    // What such a cache would take is not known either, and asking must not end the process.
    let layers = shape.layers(positions: .none)
    for plan in [
      KVCache.Plan.full,
      KVCache.Plan {
        Sinks(4); Window(28)
      },
    ] {
      #expect(throws: KVCacheError.self) {
        _ = try KVCache.stages(of: plan, layers: layers, slotType: .q8_0, tokens: 64)
      }
      #expect(KVCache.bytes(plan: plan, layers: layers, slotType: .q8_0, tokens: 64) == 0)
    }
    #expect(KVCache.bytesPerToken(shape: shape, slotType: .q8_0) == 0)
  }
}
