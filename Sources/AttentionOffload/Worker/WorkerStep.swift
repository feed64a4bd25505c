import KVCaches
import Kernels

/// A step at a worker: whose rows it has, how far it has come, and, where it is short, what was answered so far, so that
/// a layer that comes again is answered again.
struct WorkerStep {
  /// Answers of a step are kept up to so many bytes.
  private static let keptBytes = 16 << 20

  private let model: AttentionModel
  private let kernels: InstructionSet
  /// The layers in which the worker attends, and each one's place among them.
  private let layers: [Int]
  private(set) var description = StepDescription()
  private var batch: UInt64 = 0
  private var counters: [[[UInt8]]] = []
  /// Layers that are done, of `layers`.
  private var done = 0
  /// Whether the next layer's queries are there.
  private var hasQueries = false
  private var isKept = false
  /// `[row, query head, headDim]` and so on, of all heads of a layer, as attention wants them.
  private var queries = Buffer<Float>(count: 0)
  private var keys = Buffer<Float>(count: 0)
  private var values = Buffer<Float>(count: 0)
  private var output = Buffer<Float>(count: 0)
  /// What attention is where the slots of a sequence are divided, `[row, query head]`.
  private var partials: PartialAttention?
  /// The answer of a layer, or of all layers where they are kept.
  private var answer = Buffer<UInt8>(count: 0)
  private var answerSizes: [Int] = []
  private var answerFormat = WireFormat.none

  init(_ model: AttentionModel, kernels: InstructionSet) {
    (self.model, self.kernels) = (model, kernels)
    layers = model.attendingLayers
  }

  /// Whether all layers are done.
  var isFinished: Bool { done == layers.count || description.parts.isEmpty }

  func isOf(batch: UInt64) -> Bool { batch == self.batch && !description.parts.isEmpty }

  func contains(_ sequence: UInt64) -> Bool { description.parts.contains { $0.sequence == sequence } }

  /// How a sequence of the step stood before it; nil where the step cannot come again.
  func before(_ sequence: UInt64) -> (Int64, [[UInt8]])? {
    guard isKept, let index = description.parts.firstIndex(where: { $0.sequence == sequence }) else { return nil }
    return (description.parts[index].position, counters[index])
  }

  /// Whether this is the step under way, or the one just made, once more.
  func isRepeated(_ description: StepDescription) -> Bool { isKept && description == self.description }

  mutating func repeatStep(batch: UInt64) { (self.batch, hasQueries) = (batch, false) }

  mutating func forget() { (description, done, isKept) = (StepDescription(), 0, false) }

  /// - Parameter before: the counters of each sequence before the step
  mutating func begin(_ description: StepDescription, batch: UInt64, before counters: [[[UInt8]]]) {
    (self.description, self.batch, self.counters) = (description, batch, counters)
    (done, hasQueries) = (0, false)
    let rows = description.rows
    let queryWidth = model.layers.map { $0.queryHeads * $0.headDim }.max() ?? 0
    let keyWidth = model.layers.map { $0.keyValueHeads * $0.headDim }.max() ?? 0
    Self.reserve(&queries, rows * queryWidth)
    Self.reserve(&output, rows * queryWidth)
    Self.reserve(&keys, rows * keyWidth)
    Self.reserve(&values, rows * keyWidth)
    if model.slots.count > 1 {
      let heads = model.layers.map(\.queryHeads).max() ?? 0
      let dim = model.layers.map(\.headDim).max() ?? 0
      if (partials?.rows ?? 0) < rows * heads { partials = PartialAttention(rows: rows * heads, headDim: dim) }
    }
    let sizes = layers.map { answerBytes(layer: $0, size: 4) }
    let total = sizes.reduce(0, +)
    isKept = total <= Self.keptBytes
    answerSizes = isKept ? sizes : [sizes.max() ?? 0]
    Self.reserve(&answer, isKept ? total : sizes.max() ?? 0)
  }

  private static func reserve<Element>(_ buffer: inout Buffer<Element>, _ count: Int) {
    if buffer.count < count { buffer = Buffer(count: count) }
  }

  /// Bytes of the answer of a layer: its rows, and the logarithms of their sums where others attend to the same heads.
  private func answerBytes(layer: Int, size: Int) -> Int {
    let sums = model.slots.count > 1 ? model.queryHeads(layer: layer).count * 4 : 0
    return description.rows * (model.queryWidth(layer: layer) * size + sums)
  }

  /// - Throws: `OffloadError.badFrame` where a part of a step may not come now, or has another length than the step gives it.
  func check(_ header: FrameHeader) throws(OffloadError) {
    guard let place = layers.firstIndex(of: Int(header.layer)), place <= done, isKept || place == done else {
      throw .badFrame("\(header.kind) of layer \(header.layer) out of order")
    }
    guard header.format != .none, place == done || header.format == answerFormat else {
      throw .badFrame("\(header.kind) in another format")
    }
    let layer = Int(header.layer)
    let width = header.kind == .queries ? model.queryWidth(layer: layer) : 2 * model.keyWidth(layer: layer)
    guard header.length == description.rows * width * header.format.size else {
      throw .badFrame("\(header.kind) of \(header.length) bytes in a step of \(description.rows) rows")
    }
    guard header.kind == .queries || place < done || hasQueries else { throw .badFrame("keys without queries") }
  }

  mutating func takeQueries(_ header: FrameHeader, _ contents: UnsafeRawBufferPointer, _ attention: LocalAttention) {
    let layer = Int(header.layer)
    guard done < layers.count, layer == layers[done] else { return }
    let heads = RowHeads(
      all: model.layers[layer].queryHeads, own: model.queryHeads(layer: layer), headDim: model.layers[layer].headDim,
      rows: description.rows)
    heads.unpack(contents, header.format, to: queries.pointer, kernels)
    hasQueries = true
    attention.begin(layer: layer, queries: UnsafePointer(queries.pointer))
    attention.attendToStored(layer: layer)
  }

  mutating func takeKeysAndValues(
    _ header: FrameHeader, _ contents: UnsafeRawBufferPointer, _ attention: LocalAttention, _ reply: WorkerDesk.Reply
  ) throws(OffloadError) {
    let layer = Int(header.layer)
    guard let place = layers.firstIndex(of: layer) else { return }
    if place == done {
      finish(layer, header.format, contents, attention)
      pack(layer, place, header.format)
      answerFormat = header.format
      hasQueries = false
      done += 1
    }
    let bytes = answerBytes(layer: layer, size: header.format.size)
    var answered = header
    (answered.kind, answered.length) = (.attention, bytes)
    try reply(answered, UnsafeRawBufferPointer(start: answer.pointer + answerOffset(place), count: bytes))
  }

  private func finish(
    _ layer: Int, _ format: WireFormat, _ contents: UnsafeRawBufferPointer, _ attention: LocalAttention
  ) {
    let shape = model.layers[layer]
    var hasKeys = false
    if shape.keysOfLayer == nil {
      let heads = RowHeads(
        all: shape.keyValueHeads, own: model.keyValueHeads(layer: layer), headDim: shape.headDim,
        rows: description.rows)
      let half = contents.count / 2
      heads.unpack(UnsafeRawBufferPointer(rebasing: contents[..<half]), format, to: keys.pointer, kernels)
      heads.unpack(UnsafeRawBufferPointer(rebasing: contents[half...]), format, to: values.pointer, kernels)
      hasKeys = true
    }
    attention.finish(
      layer: layer, keys: hasKeys ? UnsafePointer(keys.pointer) : nil,
      values: hasKeys ? UnsafePointer(values.pointer) : nil, output: output.pointer,
      partials: partials.map {
        PartialRows(max: $0.maximum.pointer, sum: $0.sum.pointer, out: $0.output.pointer, stride: $0.headDim)
      })
  }

  private func answerOffset(_ place: Int) -> Int { isKept ? answerSizes[..<place].reduce(0, +) : 0 }

  /// Puts a layer's answer together: the logarithms of sums first, where there are some.
  private func pack(_ layer: Int, _ place: Int, _ format: WireFormat) {
    let own = model.queryHeads(layer: layer)
    let all = model.layers[layer].queryHeads
    var target = answer.pointer + answerOffset(place)
    if let partials {
      for row in 0..<description.rows {
        for head in own {
          let index = row * all + head
          let sum = partials.maximum.pointer[index] + logarithm(partials.sum.pointer[index])
          UnsafeMutableRawPointer(target).storeBytes(of: sum.bitPattern.littleEndian, as: UInt32.self)
          target += 4
        }
      }
    }
    RowHeads(all: all, own: own, headDim: model.layers[layer].headDim, rows: description.rows)
      .pack(output.pointer, format, to: UnsafeMutableRawPointer(target), kernels)
  }
}
