package import KVCaches
package import Kernels

/// How long one attention layer takes over a whole prompt in a bounded cache, against exact attention to all of it.
///
/// Random queries, keys and values go through the same steps as a model's. Exact attention is a full cache with the same
/// kernels: its cost grows evenly with the depth, so chunks at some depths stand for all of them.
package struct AttentionLayerRun {
  package struct Options: Sendable {
    package var tokens = 1_000_000
    package var chunk = 512
    /// Depths at which exact attention is sampled.
    package var samples = 8
    /// Parts of the prompt that are timed apart.
    package var parts = 10

    package init() {}
  }

  package struct Result: Sendable {
    /// Seconds of each part of the prompt.
    package var partSeconds: [Double]
    /// Seconds of exact attention over the prompt, from samples; nil where the cache is exact itself.
    package var exactSeconds: Double?

    package var seconds: Double { partSeconds.reduce(0, +) }
  }

  private let shape: KVCache.Shape
  private let slotType: KVCache.SlotType
  private let options: Options
  private let kernels: InstructionSet
  private let attention: LocalAttention
  private let positions: PositionEncoding
  /// `[token, query head, headDim]` and `[token, KV head, headDim]`, of one chunk.
  private let queries, keys, values, output: Buffer<Float>

  /// - Parameter shape: of which one layer is run
  package init(
    shape: KVCache.Shape, slotType: KVCache.SlotType, options: Options, team: WorkerTeam, kernels: InstructionSet
  ) {
    precondition(options.tokens > 0 && options.chunk > 0 && options.samples > 0 && options.parts > 0)
    self.shape = shape.oneLayer
    self.slotType = slotType
    self.options = options
    self.kernels = kernels
    attention = LocalAttention(shape: self.shape, team: team, kernels: kernels)
    positions = .rotary(RotaryEmbedding(dim: shape.headDim, base: 10_000, layout: .halves))
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDim, shape.keyValueHeads * shape.headDim)
    queries = KVCache.noise(count: options.chunk * queryWidth, seed: 1)
    keys = KVCache.noise(count: options.chunk * keyWidth, seed: 2)
    values = KVCache.noise(count: options.chunk * keyWidth, seed: 3)
    output = Buffer(count: options.chunk * queryWidth)
  }

  /// Runs the prompt through a cache.
  ///
  /// - Throws: `KVCacheError` where the plan does not fit the shape.
  package func measure(_ plan: KVCache.Plan) throws -> Result {
    let cache = try KVCache(plan: plan, shape: shape, slotType: slotType, positions: positions)
    let clock = ContinuousClock()
    var result = Result(partSeconds: [])
    var done = 0
    for part in 1...options.parts {
      let end = options.tokens * part / options.parts
      let start = clock.now
      while done < end {
        let count = cache.admissibleChunk(min(options.chunk, end - done))
        step(cache, tokens: count)
        done += count
      }
      result.partSeconds.append((clock.now - start) / .seconds(1))
    }
    if plan.capacity != nil { result.exactSeconds = try exactSeconds() }
    return result
  }

  private func exactSeconds() throws -> Double {
    let clock = ContinuousClock()
    var seconds = 0.0
    let cache = try KVCache(plan: .full, shape: shape, slotType: slotType, positions: positions)
    for sample in 0..<options.samples {
      let depth = options.tokens * (2 * sample + 1) / (2 * options.samples)
      cache.fill(tokens: max(depth - Int(cache.tokenCount), 0), kernels: kernels)
      let start = clock.now
      step(cache, tokens: options.chunk)
      seconds += (clock.now - start) / .seconds(1)
    }
    return seconds / Double(options.samples * options.chunk) * Double(options.tokens)
  }

  private func step(_ cache: KVCache, tokens: Int) {
    attention.beginStep(cache, rows: tokens)
    attention.begin(layer: 0, queries: queries.pointer)
    attention.finish(
      layer: 0, keys: keys.pointer, values: values.pointer, output: output.pointer)
  }
}
