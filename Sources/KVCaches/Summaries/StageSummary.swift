import Kernels

/// What remains of tokens that melt together: for every layer and KV head some numbers that stand for all of them.
///
/// That a token melts in follows from counters; what it does there is decided here, for each head alone. A head counts
/// through all layers, `layer * KV heads + KV head`. Two threads never call for the same head at once.
class StageSummary {
  let shape: KVCache.Shape

  init(shape: KVCache.Shape) { self.shape = shape }

  /// Bytes of all that is kept, the same whatever has melted in.
  var bytes: Int { 0 }

  /// Floats that `melt`, `observe` and `attend` with so many rows want of their thread's scratch.
  func scratchFloats(rows: Int) -> Int { 0 }

  /// Whether `observe` wants to see the tokens that enter the cache while its exact stages have room.
  var observesArrivals: Bool { false }

  /// Tokens after which neither what is kept nor the cost of a token changes in kind.
  var fullAfter: Int { 0 }

  /// Forgets everything.
  func reset() {}

  /// Sees the key of a token that enters the cache while its exact stages have room, as `melt` would get it; before
  /// anything melts.
  func observe(
    key: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {}

  /// Takes a token in.
  ///
  /// - Parameters:
  ///   - key: `[headDim]`, without position where the stage's distance is clipped, else rotated to its place in the stream.
  ///   - value: `[headDim]`
  func melt(
    key: UnsafePointer<Float>, value: UnsafePointer<Float>, head: Int, scratch: UnsafeMutablePointer<Float>,
    _ kernels: InstructionSet
  ) {}

  /// Attends to a share of what a head keeps, continuing the partial.
  ///
  /// - Parameters:
  ///   - queries: rotated to the stage's distance, or to their places in the stream, and scaled by 1 / sqrt(headDim).
  ///   - share: threads that attend together call with one index each; all calls together see everything once.
  ///   - kernelScratch: what `InstructionSet.attend` wants.
  func attend(
    _ queries: QueryRows, head: Int, share: (index: Int, count: Int), partial: PartialRows,
    kernelScratch: UnsafeMutablePointer<Float>, scratch: UnsafeMutablePointer<Float>, _ kernels: InstructionSet
  ) {}

  /// Appends everything to a snapshot.
  func write(to writer: inout SnapshotWriter) {}

  /// Takes up what `write` has written, of a summary that was just made.
  ///
  /// - Throws: `KVCacheError` where that is impossible for this summary.
  func read(from reader: inout SnapshotReader) throws(KVCacheError) {}
}
