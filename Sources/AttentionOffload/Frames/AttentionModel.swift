package import KVCaches
import Kernels

/// What a worker has to know of a model before it can keep its sequences: no weights, only what attention is.
package struct AttentionModel: Sendable, Hashable {
  /// Steps of a model worker that can be under way at once.
  package static let mostLanes = 4

  /// By which the worker keeps what it holds if the connection ends.
  package var session: UInt64
  /// Which heads the worker keeps.
  package var heads: HeadShare
  /// Which blocks of slots it keeps of stages that grow, and whether it attends to what else there is.
  package var slots: SlotShare
  /// The most rows of a step.
  package var rows: Int
  package var layers: [AttentionLayer]

  package init(session: UInt64, heads: HeadShare, slots: SlotShare, rows: Int, layers: [AttentionLayer]) {
    self.session = session
    self.heads = heads
    self.slots = slots
    self.rows = rows
    self.layers = layers
  }

  /// The query heads of a layer whose KV heads the worker keeps.
  package func queryHeads(layer: Int) -> Range<Int> {
    let own = keyValueHeads(layer: layer)
    let group = layers[layer].queryHeads / max(1, layers[layer].keyValueHeads)
    return own.lowerBound * group..<own.upperBound * group
  }

  /// The KV heads of a layer that the worker keeps.
  package func keyValueHeads(layer: Int) -> Range<Int> { heads.heads(of: layers[layer].keyValueHeads) }

  /// Numbers of a row of queries that the worker gets.
  package func queryWidth(layer: Int) -> Int { queryHeads(layer: layer).count * layers[layer].headDim }

  /// Numbers of a row of keys that the worker gets; 0 where the layer reads those of an earlier one.
  package func keyWidth(layer: Int) -> Int {
    layers[layer].keysOfLayer == nil ? keyValueHeads(layer: layer).count * layers[layer].headDim : 0
  }

  /// The layers in which the worker attends, ascending.
  package var attendingLayers: [Int] { layers.indices.filter { queryWidth(layer: $0) > 0 } }

  // In a frame.

  private static let largest = 4096
  private static let noPositions = UInt16.max

  package func encoded() -> [UInt8] {
    var writer = MessageWriter()
    writer.write(session)
    for number in [heads.index, heads.count, slots.index, slots.count] { writer.write(UInt16(number)) }
    writer.write(UInt32(rows))
    var table: [PositionEncoding] = []
    for layer in layers {
      for positions in [layer.positions, layer.longPositions?.positions].compactMap(\.self)
      where !table.contains(positions) { table.append(positions) }
    }
    writer.write(UInt16(table.count))
    for positions in table { Self.write(positions, to: &writer) }
    writer.write(UInt16(layers.count))
    for layer in layers { Self.write(layer, table, to: &writer) }
    return writer.bytes
  }

  private static func write(_ positions: PositionEncoding, to writer: inout MessageWriter) {
    switch positions {
    case .none: writer.write(UInt8(0))
    case .rotary(let rotary):
      writer.write(UInt8(rotary.layout == .halves ? 1 : 2))
      writer.write(UInt16(rotary.frequencies.count))
      for frequency in rotary.frequencies { writer.write(frequency) }
    case .linearBias(let slopes):
      writer.write(UInt8(3))
      writer.write(UInt16(slopes.count))
      for slope in slopes { writer.write(slope) }
    }
  }

  private static func write(_ layer: AttentionLayer, _ table: [PositionEncoding], to writer: inout MessageWriter) {
    writer.write(UInt16(layer.queryHeads))
    guard layer.recurrence == nil else { return }
    writer.write(UInt16(layer.keyValueHeads))
    writer.write(UInt16(layer.headDim))
    let index = { (positions: PositionEncoding) in UInt16(table.firstIndex(of: positions) ?? 0) }
    writer.write(index(layer.positions))
    writer.write(layer.longPositions.map { index($0.positions) } ?? noPositions)
    writer.write(Int64(layer.longPositions?.limit ?? 0))
    writer.write(layer.scale)
    writer.write(layer.softCap ?? 0)
    writer.write(UInt32(layer.window ?? 0))
    writer.write(Int32(layer.keysOfLayer ?? -1))
    writer.write(layer.temperature?.growth ?? -1)
    writer.write(Int64(layer.temperature?.length ?? 0))
    for numbers in [layer.sinkLogits, layer.gates] {
      writer.write(UInt8(numbers == nil ? 0 : 1))
      for number in numbers ?? [] { writer.write(number) }
    }
  }

  /// Reads what a frame says.
  ///
  /// - Throws: `OffloadError.badFrame` where it is no model that could be.
  package init(_ bytes: UnsafeRawBufferPointer) throws(OffloadError) {
    var reader = MessageReader(bytes)
    session = try reader.read()
    let parts = try reader.readParts()
    heads = HeadShare(index: parts.index, of: parts.count)
    let blocks = try reader.readParts()
    slots = SlotShare(index: blocks.index, of: blocks.count)
    rows = try reader.readCount(UInt32.self, 1...1 << 16, "a number of rows")
    var table: [PositionEncoding] = []
    for _ in 0..<(try reader.read(UInt16.self)) { table.append(try Self.readPositions(&reader)) }
    layers = []
    for _ in 0..<(try reader.readCount(UInt16.self, 1...Self.largest, "a number of layers")) {
      layers.append(try Self.readLayer(&reader, table, earlier: layers))
    }
    try reader.end()
  }

  private static func readPositions(_ reader: inout MessageReader) throws(OffloadError) -> PositionEncoding {
    let kind = try reader.read(UInt8.self)
    switch kind {
    case 0: return .none
    case 1, 2:
      var frequencies: [Double] = []
      for _ in 0..<(try reader.readCount(UInt16.self, 1...largest / 2, "a number of frequencies")) {
        frequencies.append(try reader.readDouble())
      }
      return .rotary(RotaryEmbedding(frequencies: frequencies, layout: kind == 1 ? .halves : .interleaved))
    case 3:
      var slopes: [Float] = []
      for _ in 0..<(try reader.readCount(UInt16.self, 1...largest, "a number of slopes")) {
        slopes.append(try reader.readFloat())
      }
      return .linearBias(slopes: slopes)
    default: throw .badFrame("positions of an unknown kind")
    }
  }

  private static func readLayer(
    _ reader: inout MessageReader, _ table: [PositionEncoding], earlier: [AttentionLayer]
  ) throws(OffloadError) -> AttentionLayer {
    let queryHeads = try reader.readCount(UInt16.self, 0...largest, "a number of query heads")
    // What such a layer remembers stays with the model.
    if queryHeads == 0 { return AttentionLayer(Recurrence(channels: 1, span: 2)) }
    let keyValueHeads = try reader.readCount(UInt16.self, 1...queryHeads, "a number of KV heads")
    let headDim = try reader.readCount(UInt16.self, 1...largest, "a head size")
    guard queryHeads % keyValueHeads == 0 else { throw .badFrame("query heads that KV heads do not divide") }
    let positions = { (index: UInt16) throws(OffloadError) -> PositionEncoding in
      guard Int(index) < table.count else { throw .badFrame("positions that are not in the table") }
      if case .linearBias(let slopes) = table[Int(index)], slopes.count != queryHeads {
        throw .badFrame("slopes of other heads")
      }
      guard table[Int(index)].rotaryDim <= headDim else { throw .badFrame("more frequencies than a head has") }
      return table[Int(index)]
    }
    var layer = AttentionLayer(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDim: headDim,
      positions: try positions(try reader.read()))
    let long = try reader.read(UInt16.self)
    let limit = try reader.readCount(Int64.self, 0...Int(Int32.max), "a limit of positions")
    if long != noPositions {
      layer.longPositions = AttentionLayer.LongPositions(try positions(long), beyond: limit)
    }
    layer.scale = try reader.readFloat()
    let cap = try reader.readFloat()
    layer.softCap = cap > 0 ? cap : nil
    let window = try reader.readCount(UInt32.self, 0...Int(Int32.max) >> 4, "a window")
    layer.window = window > 0 ? window : nil
    let owner = try reader.readCount(Int32.self, -1...earlier.count - 1, "a layer whose keys are read")
    if owner >= 0 {
      guard earlier[owner].keepsKeys else { throw .badFrame("keys of a layer that has none") }
      layer.keysOfLayer = owner
    }
    let growth = try reader.readDouble()
    let length = try reader.readCount(Int64.self, 0...Int(Int32.max), "a length")
    if growth >= 0, length > 0 { layer.temperature = AttentionTemperature(growth: growth, length: length) }
    layer.sinkLogits = try readHeadNumbers(&reader, queryHeads)
    layer.gates = try readHeadNumbers(&reader, queryHeads)
    return layer
  }

  private static func readHeadNumbers(
    _ reader: inout MessageReader, _ count: Int
  ) throws(OffloadError) -> [Float]? {
    guard try reader.readCount(UInt8.self, 0...1, "a flag") == 1 else { return nil }
    var numbers: [Float] = []
    for _ in 0..<count { numbers.append(try reader.readFloat()) }
    return numbers
  }
}

extension MessageReader {
  /// Which of some parts.
  fileprivate mutating func readParts() throws(OffloadError) -> (index: Int, count: Int) {
    let index = try readCount(UInt16.self, 0...1023, "a part")
    let count = try readCount(UInt16.self, 1...1024, "a number of parts")
    guard index < count else { throw .badFrame("part \(index) of \(count)") }
    return (index, count)
  }
}
