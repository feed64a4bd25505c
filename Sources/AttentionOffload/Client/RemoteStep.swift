package import KVCaches
package import Kernels

/// A step under way at the workers: which rows each group has of it, and how far its exchanges have come.
package final class RemoteStep: LayerAttention {
  /// Whose step it is, told of what is lost.
  weak var attention: RemoteAttention?
  /// Recurrent layers, and the counters of all.
  let local: LocalAttention
  private let lane: Int
  private let division: WorkDivision
  private let options: RemoteAttention.Options
  /// `[group][slots][heads]`
  private let links: [WorkerLink]
  private var groups: [GroupStep]
  private var batch: UInt64 = 0
  private var rowCount = 0
  private var queries: UnsafePointer<Float>?
  /// Whether queries, and keys and values, of the layer are out.
  private var (hasSentQueries, hasSentKeys) = (false, false)
  /// When the layer's queries had been handed over, and how long after that keys and values were there, of the newest layer that has
  /// both.
  private var (begunAt, keysAfterSeconds) = (0.0, 0.0)
  private var sums = (Buffer<Float>(count: 0), Buffer<Float>(count: 0))
  private var part = Buffer<Float>(count: 0)

  init(
    lane: Int, _ links: [WorkerLink], _ division: WorkDivision, _ local: LocalAttention,
    options: RemoteAttention.Options
  ) {
    (self.lane, self.links, self.division, self.local, self.options) = (lane, links, division, local, options)
    groups = (0..<division.requests).map { _ in GroupStep() }
  }

  private var layers: [AttentionLayer] { local.layers }

  /// Decides what the caches of a step do, which has no rows yet.
  func prepare(_ segments: [StepSegment<KVCache>]) {
    local.beginStep(segments)
    rowCount = segments.last?.rows.upperBound ?? 0
    for index in groups.indices { groups[index].begin() }
  }

  func append(_ part: StepDescription.Part, _ rows: Range<Int>, group: Int) { groups[group].append(part, rows) }

  /// Says the step to the workers.
  func begin(batch: UInt64) {
    self.batch = batch
    for group in groups.indices where groups[group].isActive {
      forEachLink(of: group) { link throws(OffloadError) in
        try link.beginStep(groups[group].description, batch: batch, lane: lane)
      }
    }
  }

  /// Leaves a group out of what remains of the step.
  func leaveOut(_ group: Int) { groups[group].end() }

  /// Calls `body` with the workers of a group; one that fails is lost, and the group with it for this step.
  private func forEachLink(of group: Int, _ body: (WorkerLink) throws(OffloadError) -> Void) {
    for index in division.workers(ofGroup: group) where groups[group].isActive {
      do throws(OffloadError) { try body(links[index]) } catch {
        links[index].drop()
        groups[group].end()
        attention?.lose(group, error)
      }
    }
  }

  // A layer.

  /// Whether keys and values go out before the result is asked for: where several steps take turns, the worker is to have all when
  /// this one's turn ends.
  private var sendsKeysEarly: Bool { options.overlap != .never || options.lanes > 1 }

  /// Whether queries go out before keys and values are there.
  private var sendsQueriesEarly: Bool {
    switch options.overlap {
    case .never: false
    case .always: true
    // One more write, and a worker that wakes up once more, cost more than a short time hides.
    case .wherePaid: keysAfterSeconds > leastWriteSeconds
    }
  }

  /// The shortest time that frames of a step took to go out to a worker.
  private var leastWriteSeconds: Double { links.reduce(0) { max($0, $1.leastWriteSeconds) } }

  package func begin(layer: Int, queries: UnsafePointer<Float>) {
    (self.queries, hasSentQueries, hasSentKeys) = (queries, false, false)
    if layers[layer].keysOfLayer != nil {
      if sendsKeysEarly { send(layer, StoredRows()) }
    } else if sendsQueriesEarly {
      send(layer, nil)
    }
    begunAt = secondsNow()
  }

  package func offer(layer: Int, keys: UnsafePointer<Float>, values: UnsafePointer<Float>) {
    keysAfterSeconds = secondsNow() - begunAt
    if sendsKeysEarly { send(layer, StoredRows(keys: keys, values: values)) }
  }

  package func finish(
    layer: Int, keys: UnsafePointer<Float>?, values: UnsafePointer<Float>?, output: UnsafeMutablePointer<Float>
  ) {
    if !hasSentKeys { send(layer, StoredRows(keys: keys, values: values)) }
    queries = nil
    let width = layers[layer].queryHeads * layers[layer].headDim
    let isWhole = groups.allSatisfy(\.isActive) && groups.reduce(0) { $0 + $1.description.rows } == rowCount
    // What nobody answers must be numbers all the same.
    if !isWhole { output.update(repeating: 0, count: rowCount * width) }
    for group in groups.indices where groups[group].isActive { gather(group, layer, output) }
  }

  /// Sends queries that are not out yet, and keys and values where there are some.
  private func send(_ layer: Int, _ stored: StoredRows?) {
    guard let queries else { preconditionFailure("keys without queries") }
    let waiting = hasSentQueries ? nil : queries
    (hasSentQueries, hasSentKeys) = (true, stored != nil)
    for group in groups.indices where groups[group].isActive {
      let sent = sentRows(of: group)
      forEachLink(of: group) { link throws(OffloadError) in
        guard link.model.queryWidth(layer: layer) > 0 else { return }
        try link.send(sent, layer: layer, queries: waiting, keys: stored)
      }
    }
  }

  private func sentRows(of group: Int) -> SentRows {
    SentRows(batch: batch, format: options.format, rows: groups[group].rows, kernels: local.kernels)
  }

  private func gather(_ group: Int, _ layer: Int, _ output: UnsafeMutablePointer<Float>) {
    let first = division.workers(ofGroup: group).lowerBound
    var index = first
    forEachLink(of: group) { link throws(OffloadError) in
      let slots = (index - first) / division.heads
      index += 1
      guard link.model.queryWidth(layer: layer) > 0 else { return }
      let sent = sentRows(of: group)
      guard division.slots > 1 else { return try link.receive(sent, layer: layer, to: output, sums: nil) }
      let shape = layers[layer]
      reserve(heads: rowCount * shape.queryHeads, headDim: shape.headDim)
      let isFirst = slots == 0
      try link.receive(
        sent, layer: layer, to: isFirst ? output : part.pointer, sums: isFirst ? sums.0.pointer : sums.1.pointer)
      if !isFirst { merge(link.model.queryHeads(layer: layer), of: shape, sent.rows, into: output) }
    }
  }

  private func reserve(heads: Int, headDim: Int) {
    if sums.0.count < heads { sums = (Buffer(count: heads), Buffer(count: heads)) }
    if part.count < heads * headDim { part = Buffer(count: heads * headDim) }
  }

  /// Joins what a worker has of some heads into what others had: both are divided by their sums, whose logarithms are known.
  private func merge(
    _ heads: Range<Int>, of shape: AttentionLayer, _ rows: [Range<Int>], into output: UnsafeMutablePointer<Float>
  ) {
    for row in rows.joined() {
      for head in heads {
        let index = row * shape.queryHeads + head
        let (a, b) = (sums.0.pointer[index], sums.1.pointer[index])
        let largest = max(a, b)
        // Neither has seen anything.
        guard largest > -.infinity else { continue }
        let (weightA, weightB) = (exponential(a - largest), exponential(b - largest))
        let sum = weightA + weightB
        let (target, source) = (output + index * shape.headDim, part.pointer + index * shape.headDim)
        for dim in 0..<shape.headDim { target[dim] = (weightA * target[dim] + weightB * source[dim]) / sum }
        sums.0.pointer[index] = largest + logarithm(sum)
      }
    }
  }

  package func convolve(
    layer: Int, _ convolution: Convolution, input: UnsafePointer<Float>, output: UnsafeMutablePointer<Float>
  ) { local.convolve(layer: layer, convolution, input: input, output: output) }

  package func applyDeltaRule(layer: Int, _ call: DeltaRuleCall) { local.applyDeltaRule(layer: layer, call) }
}
