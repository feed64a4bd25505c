import AttentionOffload
import CacheTestSupport
import KVCaches
import Kernels

/// Workers in this process, one for each part of a division.
final class TestWorkers {
  static let key = Array("the key of all tests".utf8)

  let workers: [AttentionWorker]
  /// Connections made so far, by worker, newest last.
  private(set) var channels: [[InProcessChannel]]
  /// Workers that take no connection.
  var gone: Set<Int> = []
  /// Frames that a worker gets over the next connection before it is lost again; nil where it is not.
  var framesOfNext: Int?
  /// Whether workers seem to do nothing but attend, as one of the first version does.
  var hidesAbilities = false

  /// - Parameter keptSeconds: how long what a lost model worker leaves is kept
  init(_ count: Int, memoryBytes: Int = 1 << 30, keptSeconds: Int = 120) throws {
    var options = AttentionWorker.Options()
    (options.memoryBytes, options.keptSeconds) = (memoryBytes, keptSeconds)
    let (key, team) = (try OffloadKey(Self.key), try WorkerTeam(threads: 1))
    workers = (0..<count).map { _ in AttentionWorker(key: key, team: team, kernels: .current, options: options) }
    channels = workers.map { _ in [] }
  }

  var connectors: [RemoteAttention.Connector] {
    workers.indices.map { connector($0) }
  }

  private func connector(_ index: Int) -> RemoteAttention.Connector {
    { () throws(OffloadError) -> any FrameChannel in try self.connect(index) }
  }

  private func connect(_ index: Int) throws(OffloadError) -> any FrameChannel {
    if gone.contains(index) { throw .lost("worker \(index) is gone") }
    let channel = InProcessChannel(workers[index])
    (channel.framesLeft, framesOfNext) = (framesOfNext, nil)
    channels[index].append(channel)
    return hidesAbilities ? SimpleWorkerChannel(channel) : channel
  }

  func attention(
    _ layers: [AttentionLayer], _ division: WorkDivision, options: RemoteAttention.Options = .init()
  ) throws -> RemoteAttention {
    try RemoteAttention(
      layers: layers, division: division, workers: connectors, key: OffloadKey(Self.key),
      team: WorkerTeam(threads: 1), kernels: .current, options: options)
  }
}

/// A connection over which a worker says no more than what it has left.
private final class SimpleWorkerChannel: FrameChannel {
  private let inner: InProcessChannel
  private var length = 0

  init(_ inner: InProcessChannel) { self.inner = inner }

  func send(
    _ header: FrameHeader, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer
  ) throws(OffloadError) { try inner.send(header, first, second) }

  func receiveHeader() throws(OffloadError) -> FrameHeader {
    var header = try inner.receiveHeader()
    length = header.length
    if header.kind == .ready { header.length = 8 }
    return header
  }

  func receiveContents(into target: UnsafeMutableRawBufferPointer) throws(OffloadError) {
    var header = FrameHeader(.ready, length: 0)
    header.length = length
    let bytes = try inner.receiveBytes(header)
    target.copyBytes(from: bytes.prefix(target.count))
  }

  func close() { inner.close() }
}

extension RemoteAttention.Options {
  init(format: WireFormat = .float32, overlap: RemoteAttention.Overlap, patience: Int = 0, lanes: Int = 1) {
    self.init()
    (self.format, self.overlap, self.patience, self.lanes) = (format, overlap, patience, lanes)
  }
}

/// Sequences of a small model with four KV heads, and what drives them through a service.
enum OffloadSubject {
  static let shape = KVCache.Shape(layers: 2, queryHeads: 8, keyValueHeads: 4, headDim: 32)
  static let positions = PositionEncoding.rotary(RotaryEmbedding(dim: 32, base: 10_000, layout: .halves))
  static let sequences = (0..<3).map { seed in
    TokenSequence(shape: shape, positions: positions, count: 72, seed: 31 + UInt64(seed))
  }
  static let layers = sequences[0].layers
  static let resolver = PlanResolver { name throws(KVCacheError) in
    try HeadMask(text: "1 0 1 0\n0 1 0 1\n", name: name)
  }
}

extension AttentionService where Memory == KVCache {
  /// Drives one step of several sequences through all layers.
  ///
  /// - Returns: outputs, `[layer][row, query head, headDim]`.
  func drive(_ parts: [(cache: KVCache, sequence: TokenSequence, tokens: Range<Int>)]) -> [[Float]] {
    var segments: [StepSegment<KVCache>] = []
    var row = 0
    for part in parts {
      segments.append(StepSegment(memory: part.cache, rows: row..<row + part.tokens.count))
      row += part.tokens.count
    }
    beginStep(segments)
    let shape = parts[0].sequence.shape
    return (0..<shape.layers).map { layer in
      func gather(_ numbers: (TokenSequence) -> [[Float]], _ width: Int) -> [Float] {
        parts.flatMap { numbers($0.sequence)[layer][$0.tokens.lowerBound * width..<$0.tokens.upperBound * width] }
      }
      let queries = gather(\.queries, shape.queryHeads * shape.headDim)
      let keys = gather(\.keys, shape.keyValueHeads * shape.headDim)
      let values = gather(\.values, shape.keyValueHeads * shape.headDim)
      var output = [Float](repeating: .nan, count: queries.count)
      queries.withUnsafeBufferPointer { queries in
        guard let base = queries.baseAddress else { return }
        begin(layer: layer, queries: base)
        finish(layer: layer, keys: keys, values: values, output: &output)
      }
      return output
    }
  }

  /// Drives tokens of one sequence in chunks that the cache admits, with the prompt's end where it is told.
  func run(
    _ cache: KVCache, _ sequence: TokenSequence, _ tokens: Range<Int>, _ chunking: Chunking, promptEnd: Int? = nil
  ) -> [[Float]] {
    var outputs = [[Float]](repeating: [], count: sequence.shape.layers)
    var next = tokens.lowerBound
    for size in chunking.sizes(tokens.count) {
      let end = next + size
      while next < end {
        var wanted = end - next
        if let promptEnd, next < promptEnd { wanted = min(wanted, promptEnd - next) }
        let admitted = cache.admissibleChunk(wanted)
        for (layer, output) in drive([(cache, sequence, next..<next + admitted)]).enumerated() {
          outputs[layer] += output
        }
        next += admitted
        if next == promptEnd { endPrompt(of: cache) }
      }
    }
    return outputs
  }
}
