package import KVCaches

extension LocalAttention {
  /// Drives one step of a sequence through all layers: tokens `tokens` of `sequence`, against `cache`.
  ///
  /// - Returns: outputs, `[layer][token of the step, query head, headDim]`.
  package func step(_ cache: KVCache, _ sequence: TokenSequence, tokens: Range<Int>) -> [[Float]] {
    step(cache, [TokenSequence](repeating: sequence, count: sequence.shape.layers), tokens: tokens)
  }

  /// Drives one step through all layers, each with its own sequence, `[layer]`.
  package func step(
    _ cache: KVCache, _ sequences: [TokenSequence], tokens: Range<Int>, beforeLayer: (Int) -> Void = { _ in }
  ) -> [[Float]] {
    beginStep([Segment(memory: cache, rows: 0..<tokens.count)])
    return sequences.enumerated().map { layer, sequence in
      beforeLayer(layer)
      let shape = sequence.shape
      var output = [Float](repeating: .nan, count: tokens.count * shape.queryHeads * shape.headDim)
      let queryOffset = tokens.lowerBound * shape.queryHeads * shape.headDim
      let keyOffset = tokens.lowerBound * shape.keyValueHeads * shape.headDim
      sequence.queries[layer].withUnsafeBufferPointer { queries in
        sequence.keys[layer].withUnsafeBufferPointer { keys in
          sequence.values[layer].withUnsafeBufferPointer { values in
            begin(layer: layer, queries: queries.baseAddress! + queryOffset)
            finish(
              layer: layer, keys: keys.baseAddress! + keyOffset, values: values.baseAddress! + keyOffset,
              output: &output)
          }
        }
      }
      return output
    }
  }

  /// Drives tokens `tokens` of a sequence through all layers, cut as `chunking` says and the cache admits.
  ///
  /// - Returns: outputs, `[layer][token, query head, headDim]`.
  package func run(
    _ cache: KVCache, _ sequence: TokenSequence, tokens: Range<Int>, chunking: Chunking,
    afterStep: (Int) -> Void = { _ in }
  ) -> [[Float]] {
    let sequences = [TokenSequence](repeating: sequence, count: sequence.shape.layers)
    return run(cache, sequences, tokens: tokens, chunking: chunking, afterStep: afterStep)
  }

  /// Drives tokens through all layers, each with its own sequence, `[layer]`.
  package func run(
    _ cache: KVCache, _ sequences: [TokenSequence], tokens: Range<Int>, chunking: Chunking,
    afterStep: (Int) -> Void = { _ in }
  ) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: sequences.count)
    var next = tokens.lowerBound
    for size in chunking.sizes(tokens.count) {
      let end = next + size
      while next < end {
        let admitted = cache.admissibleChunk(end - next)
        for (layer, output) in step(cache, sequences, tokens: next..<next + admitted).enumerated() {
          outputs[layer] += output
        }
        next += admitted
        afterStep(next)
      }
    }
    return outputs
  }
}
